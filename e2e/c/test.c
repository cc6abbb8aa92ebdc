#include "test.h"

#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#define VALGRIND_COUNT_ERRORS 0
#endif

static struct test *tests;
static struct child *children;
static const char *running = "none";

void register_test(struct test *test) {
    struct test **at = &tests;
    while (*at != NULL && strcmp((*at)->name, test->name) < 0)
        at = &(*at)->next;
    test->next = *at;
    *at = test;
}

void failed(const char *file, int line, const char *format, ...) {
    va_list list;
    va_start(list, format);
    fprintf(stdout, "FAILED %s: %s:%d: ", running, file, line);
    vfprintf(stdout, format, list);
    fprintf(stdout, " (last error %u)\n", GetLastError());
    va_end(list);
    fflush(stdout);
    _exit(1);
}

void pause_briefly(void) {
    nanosleep(&(struct timespec){0, 200000}, NULL);
}

bool is_asleep(DWORD thread) {
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%u/stat", thread);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    bool read = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    const char *state = read ? strrchr(line, ')') : NULL;
    return state != NULL && state[2] == 'S';
}

HANDLE thread(DWORD (*routine)(void *), void *parameter, DWORD *id) {
    HANDLE created = CreateThread(NULL, 0, routine, parameter, 0, id);
    CHECK(created != NULL);
    return created;
}

DWORD join(HANDLE thread) {
    DWORD exit_code;
    CHECK_IS(WaitForSingleObject(thread, PATIENCE), WAIT_OBJECT_0);
    CHECK(GetExitCodeThread(thread, &exit_code));
    CHECK(CloseHandle(thread));
    return exit_code;
}

void register_child(struct child *child) {
    child->next = children;
    children = child;
}

int start_child(const char *name, const char *argument) {
    /* by its own name: what /proc/self/exe leads to may be a tool that the program runs under */
    char program[4096];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    CHECK(length > 0);
    program[length] = 0;
    fflush(stdout);
    int process = fork();
    CHECK(process >= 0);
    if (process == 0) {
        execl(program, program, "--child", name, argument, NULL);
        _exit(126);
    }
    return process;
}

/* Ends a forked child. It has lost what its parent's other threads refer to, so nothing that counts leaks may look: the
 * sanitizer's does not at _exit, valgrind's not where another program takes over. */
static void end_forked_child(void) {
    fflush(stdout);
    if (RUNNING_ON_VALGRIND && VALGRIND_COUNT_ERRORS == 0)
        execl("/bin/true", "true", NULL);
    _exit(0);
}

int fork_child(void (*run)(const char *argument), const char *argument) {
    fflush(stdout);
    int process = fork();
    CHECK(process >= 0);
    if (process == 0) {
        alarm(60);
        run(argument);
        end_forked_child();
    }
    return process;
}

void finish_child(int process) {
    int status;
    CHECK_IS(waitpid(process, &status, 0), process);
    CHECK_IS(status, 0);
}

static int be_child(const char *name, const char *argument) {
    for (struct child *child = children; child != NULL; child = child->next) {
        if (strcmp(child->name, name) == 0) {
            running = name;
            alarm(60);
            child->run(argument);
            return 0;
        }
    }
    return 125;
}

static bool wanted(const struct test *test, int count, char **names) {
    for (int i = 1; i < count; i++) {
        if (strstr(test->name, names[i]) != NULL)
            return true;
    }
    return count < 2;
}

int main(int count, char **names) {
    if (count == 4 && strcmp(names[1], "--child") == 0)
        return be_child(names[2], names[3]);
    int ran = 0;
    for (struct test *test = tests; test != NULL; test = test->next) {
        if (!wanted(test, count, names))
            continue;
        running = test->name;
        alarm(60);
        test->run();
        alarm(0);
        printf("ok %s\n", test->name);
        fflush(stdout);
        ran++;
    }
    printf("%d tests\n", ran);
    return ran == 0;
}
