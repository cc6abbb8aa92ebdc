/* The filter of a scanner: prints the files that it is given whose content scanner_app calls safe.
 *
 *   gcc scanner_filter.c -o scanner_filter $(pkg-config --cflags --libs fltmgr) -lpthread
 *   ./scanner_filter FILE...
 *
 * The message is the file's path and the file travels with it; the reply is one byte, 1 for safe. */
#include <fcntl.h>
#include <fltmgr.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The one scanner that may be connected. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t connected = PTHREAD_COND_INITIALIZER;
static fltmgr_client *scanner;

static void set_scanner(fltmgr_client *client) {
    pthread_mutex_lock(&lock);
    fltmgr_client *before = scanner;
    scanner = client;
    pthread_cond_signal(&connected);
    pthread_mutex_unlock(&lock);
    fltmgr_client_release(before);
}

static fltmgr_client *wait_for_scanner(void) {
    pthread_mutex_lock(&lock);
    while (scanner == NULL)
        pthread_cond_wait(&connected, &lock);
    fltmgr_client *client = scanner;
    fltmgr_client_retain(client);
    pthread_mutex_unlock(&lock);
    return client;
}

static int on_connect(void *cookie, fltmgr_client *client, const void *context, size_t len, void **session) {
    (void)cookie, (void)context, (void)len, (void)session;
    fltmgr_client_retain(client);
    set_scanner(client);
    return 0;
}

static void on_disconnect(void *cookie, void *session) {
    (void)cookie, (void)session;
    set_scanner(NULL);
}

static int is_safe(const char *path, int file) {
    unsigned char safe = 0;
    size_t len = sizeof safe;
    fltmgr_client *client = wait_for_scanner();
    if (fltmgr_ask(client, path, strlen(path), file, &safe, &len, 5000) != 0) {
        fprintf(stderr, "%s: %s\n", path, fltmgr_last_error());
        safe = 0;
    }
    fltmgr_client_release(client);
    return safe && len == sizeof safe;
}

int main(int count, char **paths) {
    struct fltmgr_callbacks callbacks = {on_connect, NULL, on_disconnect};
    fltmgr_port *port;
    if (fltmgr_port_create("\\ScannerPort", "D:(A;;GA;;;AU)", 1, &callbacks, NULL, &port) != 0) {
        fprintf(stderr, "%s\n", fltmgr_last_error());
        return 1;
    }
    for (int i = 1; i < count; i++) {
        int file = open(paths[i], O_RDONLY | O_CLOEXEC);
        if (file >= 0 && is_safe(paths[i], file))
            printf("%s\n", paths[i]);
        if (file >= 0)
            close(file);
    }
    fltmgr_port_close(port);
    return 0;
}
