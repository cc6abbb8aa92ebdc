/* A program that is not linked with the libraries: it loads and unloads them, many times, with a call in between. */
#include <dirent.h>
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int entries(const char *path) {
    int count = 0;
    DIR *directory = opendir(path);
    while (directory != NULL && readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

typedef uint32_t connect_function(const uint16_t *, uint32_t, const void *, uint16_t, void *, void **);
typedef uint32_t send_function(void *, const void *, uint32_t, void *, uint32_t, uint32_t *);
typedef int close_function(void *);

static int use(const char *fltlib, const char *win32) {
    static const uint16_t name[] = {'\\', 'D', 'r', 'i', 'v', 'e', 'n', 0};
    static const uint32_t context[4] = {2, 0, 0, 0}, request[6] = {0};
    void *library = dlopen(fltlib, RTLD_NOW), *win32_library = dlopen(win32, RTLD_NOW), *port;
    if (library == NULL || win32_library == NULL)
        return printf("not loaded: %s\n", dlerror()), 1;
    connect_function *connect_port = (connect_function *)dlsym(library, "FilterConnectCommunicationPort");
    send_function *send_message = (send_function *)dlsym(library, "FilterSendMessage");
    close_function *close_handle = (close_function *)dlsym(win32_library, "CloseHandle");
    uint32_t returned, result = connect_port(name, 0, context, sizeof context, NULL, &port);
    if (result == 0)
        result = send_message(port, request, sizeof request, NULL, 0, &returned);
    if (result != 0 || !close_handle(port))
        return printf("failed: %#x\n", result), 1;
    return dlclose(library) != 0 || dlclose(win32_library) != 0;
}

/* What there is more than `most` after a while. */
static int too_many(const char *path, int most) {
    for (int i = 0; i < 20000 && entries(path) > most; i++)
        usleep(1000);
    return entries(path) > most ? entries(path) : 0;
}

int main(int count, char **words) {
    int descriptors = 0;
    if (count != 4)
        return 2;
    for (int i = 0; i < atoi(words[3]); i++) {
        if (use(words[1], words[2]) != 0)
            return 1;
        if (i == 2)
            descriptors = entries("/proc/self/fd");
    }
    /* this thread, two of the library, and two names of folders */
    int threads = too_many("/proc/self/task", 5);
    descriptors = too_many("/proc/self/fd", descriptors);
    if (threads != 0 || descriptors != 0)
        return printf("%d threads, %d descriptors\n", threads, descriptors), 1;
    printf("good\n");
    return 0;
}
