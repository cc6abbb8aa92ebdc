/* Tests in C: functions with names, checked conditions, a watchdog. A program runs those that it is told, or all. */
#ifndef TEST_H
#define TEST_H

#include <windows.h>
#include <strsafe.h>

#include <fltuser.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* How long a test waits for what must happen: it ends hangs, and is never right. In milliseconds. */
#define PATIENCE 20000

struct test {
    const char *name;
    void (*run)(void);
    struct test *next;
};

void register_test(struct test *test);
/* Says what failed where, and ends the program. */
void failed(const char *file, int line, const char *format, ...) __attribute__((noreturn));

#define TEST(test_name)                                                             \
    static void test_name(void);                                                    \
    __attribute__((constructor)) static void register_##test_name(void) {           \
        static struct test test = {#test_name, test_name, NULL};                    \
        register_test(&test);                                                       \
    }                                                                               \
    static void test_name(void)

#define CHECK(condition)                                                  \
    do {                                                                  \
        if (!(condition))                                                 \
            failed(__FILE__, __LINE__, "%s", #condition);                 \
    } while (0)

/* What a child process of a test does: the program started anew, with an argument. */
#define CHILD(child_name)                                                           \
    static void child_name(const char *argument);                                   \
    __attribute__((constructor)) static void register_##child_name(void) {          \
        static struct child child = {#child_name, child_name, NULL};                \
        register_child(&child);                                                     \
    }                                                                               \
    static void child_name(const char *argument)

struct child {
    const char *name;
    void (*run)(const char *argument);
    struct child *next;
};
void register_child(struct child *child);
/* Starts a child by fork and exec; its process. */
int start_child(const char *name, const char *argument);
/* Forks, and runs the child's function there. */
int fork_child(void (*run)(const char *argument), const char *argument);
/* Waits for the end of a child, which must have succeeded. */
void finish_child(int process);

/* That two numbers are the same; both are told if not. */
#define CHECK_IS(is, should)                                                                                  \
    do {                                                                                                      \
        long long is_ = (long long)(is), should_ = (long long)(should);                                       \
        if (is_ != should_)                                                                                   \
            failed(__FILE__, __LINE__, "%s is %#llx, not %#llx (%s)", #is, is_, should_, #should);            \
    } while (0)

/* That a call fails with an HRESULT, or, of those of Win32, with an error. */
#define CHECK_HR(call, should) CHECK_IS((uint32_t)(call), (uint32_t)(should))
#define CHECK_ERROR(call, error)            \
    do {                                    \
        SetLastError(0xDEAD);               \
        CHECK(!(call));                     \
        CHECK_IS(GetLastError(), error);    \
    } while (0)

/* The HRESULT of a Win32 error. */
#define W(error) HRESULT_FROM_WIN32(error)

/* Waits until a condition holds. */
#define UNTIL(condition)                                                        \
    do {                                                                        \
        ULONGLONG until_ = GetTickCount64() + PATIENCE;                         \
        while (!(condition)) {                                                  \
            if (GetTickCount64() > until_)                                      \
                failed(__FILE__, __LINE__, "never: %s", #condition);            \
            pause_briefly();                                                    \
        }                                                                       \
    } while (0)

void pause_briefly(void);
/* Whether a thread, or the first of a process, sleeps in the kernel. */
bool is_asleep(DWORD thread);

/* A thread that runs `routine` with `parameter`. */
HANDLE thread(DWORD (*routine)(void *), void *parameter, DWORD *id);
/* Waits for its end, and gives its exit code. */
DWORD join(HANDLE thread);

#endif
