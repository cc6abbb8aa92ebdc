/* Events, semaphores, threads, and waits for one and for many. */
#include "test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct waiter {
    HANDLE handle;
    DWORD id;
    HANDLE thread;
};

static DWORD wait_it(void *handle) {
    return WaitForSingleObject(handle, PATIENCE);
}

/* Threads that wait for one object, and do already. */
static void start_waiters(struct waiter *waiters, int count, HANDLE handle) {
    for (int i = 0; i < count; i++) {
        waiters[i].thread = thread(wait_it, handle, &waiters[i].id);
        UNTIL(is_asleep(waiters[i].id));
    }
}

static int still_waiting(const struct waiter *waiters, int count) {
    int waiting = 0;
    for (int i = 0; i < count; i++)
        waiting += WaitForSingleObject(waiters[i].thread, 0) == WAIT_TIMEOUT;
    return waiting;
}

TEST(an_event_that_resets_itself_releases_one_thread_for_each_set) {
    HANDLE event = CreateEvent(NULL, FALSE, FALSE, NULL);
    struct waiter waiters[4];
    start_waiters(waiters, 4, event);
    CHECK(SetEvent(event));
    UNTIL(still_waiting(waiters, 4) == 3);
    /* faster than any thread can wake */
    CHECK(SetEvent(event) && SetEvent(event) && SetEvent(event) && ResetEvent(event));
    for (int i = 0; i < 4; i++)
        CHECK_IS(join(waiters[i].thread), WAIT_OBJECT_0);
    CHECK_IS(WaitForSingleObject(event, 0), WAIT_TIMEOUT);
    CHECK(SetEvent(event) && SetEvent(event));
    CHECK_IS(WaitForSingleObject(event, 0), WAIT_OBJECT_0);
    CHECK_IS(WaitForSingleObject(event, 0), WAIT_TIMEOUT);
    CHECK(CloseHandle(event));
}

TEST(an_event_that_is_reset_by_hand_releases_all) {
    HANDLE event = CreateEvent(NULL, TRUE, FALSE, NULL);
    struct waiter waiters[3];
    start_waiters(waiters, 3, event);
    CHECK(SetEvent(event) && ResetEvent(event));
    for (int i = 0; i < 3; i++)
        CHECK_IS(join(waiters[i].thread), WAIT_OBJECT_0);
    CHECK_IS(WaitForSingleObject(event, 0), WAIT_TIMEOUT);
    CHECK(SetEvent(event));
    CHECK_IS(WaitForSingleObject(event, 0), WAIT_OBJECT_0);
    CHECK_IS(WaitForSingleObject(event, 0), WAIT_OBJECT_0);
    start_waiters(waiters, 0, event);
    CHECK(CloseHandle(event));
}

TEST(a_pulse_releases_who_waits) {
    HANDLE event = CreateEvent(NULL, TRUE, FALSE, NULL);
    struct waiter waiters[2];
    start_waiters(waiters, 2, event);
    CHECK(PulseEvent(event));
    for (int i = 0; i < 2; i++)
        CHECK_IS(join(waiters[i].thread), WAIT_OBJECT_0);
    CHECK_IS(WaitForSingleObject(event, 0), WAIT_TIMEOUT);
    CHECK(CloseHandle(event));
}

TEST(an_event_may_begin_signalled) {
    HANDLE event = CreateEvent(NULL, FALSE, TRUE, NULL);
    CHECK_IS(WaitForSingleObject(event, INFINITE), WAIT_OBJECT_0);
    CHECK_IS(WaitForSingleObject(event, 0), WAIT_TIMEOUT);
    CHECK(CloseHandle(event));
    event = CreateEventExW(NULL, NULL, CREATE_EVENT_INITIAL_SET | CREATE_EVENT_MANUAL_RESET, EVENT_ALL_ACCESS);
    CHECK_IS(WaitForSingleObject(event, 0), WAIT_OBJECT_0);
    CHECK_IS(WaitForSingleObject(event, 0), WAIT_OBJECT_0);
    CHECK(CloseHandle(event));
}

TEST(a_semaphore_lets_as_many_through_as_it_counts) {
    LONG before;
    HANDLE semaphore = CreateSemaphore(NULL, 2, 3, NULL);
    CHECK_IS(WaitForSingleObject(semaphore, 0), WAIT_OBJECT_0);
    CHECK_IS(WaitForSingleObject(semaphore, 0), WAIT_OBJECT_0);
    CHECK_IS(WaitForSingleObject(semaphore, 0), WAIT_TIMEOUT);
    CHECK_ERROR(ReleaseSemaphore(semaphore, 4, &before), ERROR_TOO_MANY_POSTS);
    CHECK_ERROR(ReleaseSemaphore(semaphore, 0, &before), ERROR_INVALID_PARAMETER);
    CHECK(ReleaseSemaphore(semaphore, 3, &before));
    CHECK_IS(before, 0);
    CHECK_ERROR(ReleaseSemaphore(semaphore, 1, NULL), ERROR_TOO_MANY_POSTS);
    CHECK(CloseHandle(semaphore));
    CHECK_ERROR(CreateSemaphore(NULL, 4, 3, NULL) != NULL, ERROR_INVALID_PARAMETER);
    CHECK_ERROR(CreateSemaphore(NULL, 0, 0, NULL) != NULL, ERROR_INVALID_PARAMETER);
    CHECK_ERROR(CreateSemaphore(NULL, -1, 3, NULL) != NULL, ERROR_INVALID_PARAMETER);
    semaphore = CreateSemaphore(NULL, 0, 10, NULL);
    struct waiter waiters[3];
    start_waiters(waiters, 3, semaphore);
    CHECK(ReleaseSemaphore(semaphore, 2, NULL));
    UNTIL(still_waiting(waiters, 3) == 1);
    CHECK(ReleaseSemaphore(semaphore, 1, NULL));
    for (int i = 0; i < 3; i++)
        CHECK_IS(join(waiters[i].thread), WAIT_OBJECT_0);
    CHECK(CloseHandle(semaphore));
}

TEST(a_wait_for_any_ends_with_the_first_that_is_signalled) {
    HANDLE handles[4];
    for (int i = 0; i < 4; i++)
        handles[i] = CreateEvent(NULL, FALSE, FALSE, NULL);
    CHECK_IS(WaitForMultipleObjects(4, handles, FALSE, 0), WAIT_TIMEOUT);
    CHECK(SetEvent(handles[3]) && SetEvent(handles[1]));
    CHECK_IS(WaitForMultipleObjects(4, handles, FALSE, INFINITE), WAIT_OBJECT_0 + 1);
    CHECK_IS(WaitForMultipleObjectsEx(4, handles, FALSE, INFINITE, FALSE), WAIT_OBJECT_0 + 3);
    CHECK_IS(WaitForMultipleObjects(4, handles, FALSE, 1), WAIT_TIMEOUT);
    HANDLE twice[2] = {handles[0], handles[0]};
    CHECK(SetEvent(handles[0]));
    CHECK_IS(WaitForMultipleObjects(2, twice, FALSE, 0), WAIT_OBJECT_0);
    for (int i = 0; i < 4; i++)
        CHECK(CloseHandle(handles[i]));
}

TEST(a_wait_for_all_takes_all_or_nothing) {
    HANDLE handles[3];
    for (int i = 0; i < 3; i++)
        handles[i] = CreateEvent(NULL, FALSE, i < 2, NULL);
    CHECK_IS(WaitForMultipleObjects(3, handles, TRUE, 0), WAIT_TIMEOUT);
    CHECK_IS(WaitForMultipleObjects(3, handles, TRUE, 5), WAIT_TIMEOUT);
    CHECK(SetEvent(handles[2]));
    CHECK_IS(WaitForMultipleObjects(3, handles, TRUE, INFINITE), WAIT_OBJECT_0);
    for (int i = 0; i < 3; i++)
        CHECK_IS(WaitForSingleObject(handles[i], 0), WAIT_TIMEOUT);
    for (int i = 0; i < 3; i++)
        CHECK(CloseHandle(handles[i]));
}

TEST(waits_for_nothing_and_for_too_much_are_refused) {
    HANDLE handles[65], event = CreateEvent(NULL, TRUE, TRUE, NULL);
    for (int i = 0; i < 65; i++)
        handles[i] = event;
    CHECK_ERROR(WaitForMultipleObjects(0, handles, FALSE, 0) != WAIT_FAILED, ERROR_INVALID_PARAMETER);
    CHECK_ERROR(WaitForMultipleObjects(65, handles, FALSE, 0) != WAIT_FAILED, ERROR_INVALID_PARAMETER);
    CHECK_ERROR(WaitForMultipleObjects(2, handles, TRUE, 0) != WAIT_FAILED, ERROR_INVALID_PARAMETER);
    CHECK_ERROR(WaitForMultipleObjects(2, NULL, FALSE, 0) != WAIT_FAILED, ERROR_NOACCESS);
    CHECK_IS(WaitForMultipleObjects(64, handles, FALSE, 0), WAIT_OBJECT_0);
    CHECK(CloseHandle(event));
}

TEST(a_wait_lasts_as_long_as_it_says) {
    HANDLE event = CreateEvent(NULL, TRUE, FALSE, NULL);
    for (DWORD milliseconds = 0; milliseconds <= 40; milliseconds += 20) {
        LARGE_INTEGER before, after, frequency;
        CHECK(QueryPerformanceFrequency(&frequency) && QueryPerformanceCounter(&before));
        CHECK_IS(WaitForSingleObject(event, milliseconds), WAIT_TIMEOUT);
        CHECK(QueryPerformanceCounter(&after));
        CHECK((after.QuadPart - before.QuadPart) * 1000 / frequency.QuadPart >= milliseconds);
    }
    CHECK(CloseHandle(event));
}

struct many {
    HANDLE handles[3];
    LONG counts[3];
    LONG done;
};

static DWORD take_many(void *parameter) {
    struct many *many = parameter;
    for (;;) {
        DWORD index = WaitForMultipleObjects(3, many->handles, FALSE, PATIENCE);
        CHECK(index < 3);
        if (index == 2)
            return 0;
        InterlockedIncrement(&many->counts[index]);
    }
}

TEST(nothing_that_is_signalled_is_lost_or_taken_twice) {
    struct many many = {{CreateEvent(NULL, FALSE, FALSE, NULL), CreateSemaphore(NULL, 0, 100000, NULL),
                         CreateEvent(NULL, TRUE, FALSE, NULL)},
                        {0, 0, 0},
                        0};
    HANDLE threads[3];
    for (int i = 0; i < 3; i++)
        threads[i] = thread(take_many, &many, NULL);
    LONG sets = 0;
    for (int i = 0; i < 3000; i++) {
        CHECK(ReleaseSemaphore(many.handles[1], 1, NULL));
        if (i % 3 == 0) {
            CHECK(SetEvent(many.handles[0]));
            sets++;
        }
    }
    UNTIL(many.counts[1] == 3000);
    UNTIL(WaitForSingleObject(many.handles[0], 0) == WAIT_TIMEOUT);
    CHECK(many.counts[0] <= sets && many.counts[0] > 0);
    CHECK(SetEvent(many.handles[2]));
    for (int i = 0; i < 3; i++)
        join(threads[i]);
    for (int i = 0; i < 3; i++)
        CHECK(CloseHandle(many.handles[i]));
}

static DWORD returns_its_id(void *parameter) {
    CHECK(parameter == (void *)0x1234);
    return GetCurrentThreadId();
}

TEST(a_thread_has_an_id_and_an_exit_code) {
    DWORD id = 0, code;
    HANDLE created = CreateThread(NULL, 0, returns_its_id, (void *)0x1234, CREATE_SUSPENDED, &id);
    CHECK(created != NULL && id != 0 && id != GetCurrentThreadId());
    CHECK_IS(GetThreadId(created), id);
    CHECK(GetExitCodeThread(created, &code));
    CHECK_IS(code, STILL_ACTIVE);
    CHECK_IS(WaitForSingleObject(created, 10), WAIT_TIMEOUT);
    CHECK_IS(ResumeThread(created), 1);
    CHECK_IS(WaitForSingleObject(created, PATIENCE), WAIT_OBJECT_0);
    CHECK_IS(ResumeThread(created), 0);
    CHECK(GetExitCodeThread(created, &code));
    CHECK_IS(code, id);
    CHECK(CloseHandle(created));
}

static void end_here(DWORD code) {
    ExitThread(code);
}

static DWORD exits(void *parameter) {
    (void)parameter;
    end_here(99);
    return 1;
}

TEST(a_thread_may_end_anywhere) {
    CHECK_IS(join(thread(exits, NULL, NULL)), 99);
}

TEST(a_thread_takes_a_routine_and_known_flags) {
    CHECK_ERROR(CreateThread(NULL, 0, NULL, NULL, 0, NULL) != NULL, ERROR_INVALID_PARAMETER);
    CHECK_ERROR(CreateThread(NULL, 0, exits, NULL, 0x100, NULL) != NULL, ERROR_INVALID_PARAMETER);
    HANDLE small = CreateThread(NULL, 1, exits, NULL, STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
    CHECK_IS(join(small), 99);
    CHECK_ERROR(CreateThread(NULL, (SIZE_T)-1, exits, NULL, 0, NULL) != NULL, ERROR_NOT_ENOUGH_MEMORY);
}

TEST(a_thread_has_a_priority) {
    CHECK_IS(GetThreadPriority(GetCurrentThread()), THREAD_PRIORITY_NORMAL);
    CHECK_ERROR(SetThreadPriority(GetCurrentThread(), 3), ERROR_INVALID_PARAMETER);
    HANDLE created = CreateThread(NULL, 0, exits, NULL, CREATE_SUSPENDED, NULL);
    CHECK(SetThreadPriority(created, THREAD_PRIORITY_BELOW_NORMAL));
    CHECK_IS(GetThreadPriority(created), THREAD_PRIORITY_BELOW_NORMAL);
    CHECK_IS(ResumeThread(created), 1);
    join(created);
}

TEST(to_signal_one_and_wait_for_another_is_one_call) {
    HANDLE signalled = CreateEvent(NULL, FALSE, FALSE, NULL), waited = CreateSemaphore(NULL, 1, 1, NULL);
    CHECK_IS(SignalObjectAndWait(signalled, waited, INFINITE, FALSE), WAIT_OBJECT_0);
    CHECK_IS(WaitForSingleObject(signalled, 0), WAIT_OBJECT_0);
    CHECK_IS(SignalObjectAndWait(signalled, waited, 0, FALSE), WAIT_TIMEOUT);
    CHECK(CloseHandle(signalled) && CloseHandle(waited));
}

TEST(a_name_is_one_object) {
    WCHAR name[64];
    StringCchPrintfW(name, 64, L"Global\\fltwin32-test-%u", GetCurrentProcessId());
    SetLastError(1);
    HANDLE first = CreateEvent(NULL, TRUE, FALSE, name);
    CHECK(first != NULL && GetLastError() == 0);
    HANDLE second = CreateEvent(NULL, FALSE, TRUE, name);
    CHECK(second != NULL && second != first);
    CHECK_IS(GetLastError(), ERROR_ALREADY_EXISTS);
    CHECK_IS(WaitForSingleObject(second, 0), WAIT_TIMEOUT);
    HANDLE third = OpenEvent(SYNCHRONIZE, FALSE, name);
    CHECK(third != NULL && SetEvent(first));
    CHECK_IS(WaitForSingleObject(third, 0), WAIT_OBJECT_0);
    CHECK_ERROR(ResetEvent(third), ERROR_ACCESS_DENIED);
    CHECK_ERROR(CreateSemaphore(NULL, 0, 1, name) != NULL, ERROR_INVALID_HANDLE);
    CHECK(CloseHandle(first) && CloseHandle(second) && CloseHandle(third));
    CHECK_ERROR(OpenEvent(SYNCHRONIZE, FALSE, name) != NULL, ERROR_FILE_NOT_FOUND);
    CHECK_ERROR(OpenEvent(SYNCHRONIZE, FALSE, NULL) != NULL, ERROR_INVALID_PARAMETER);
}

static volatile sig_atomic_t signals;

static void count(int number) {
    (void)number;
    signals++;
}

static DWORD release_often(void *semaphore) {
    for (int i = 0; i < 200; i++) {
        CHECK(ReleaseSemaphore(semaphore, 1, NULL));
        Sleep(1);
    }
    return 0;
}

TEST(a_storm_of_signals_ends_no_wait) {
    struct sigaction action = {.sa_handler = count};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    struct sigevent signal = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct itimerspec often = {{0, 200000}, {0, 200000}};
    timer_t timer;
    CHECK(timer_create(CLOCK_MONOTONIC, &signal, &timer) == 0 && timer_settime(timer, 0, &often, NULL) == 0);
    HANDLE semaphore = CreateSemaphore(NULL, 0, 1000, NULL), releases = thread(release_often, semaphore, NULL);
    for (int i = 0; i < 200; i++)
        CHECK_IS(WaitForSingleObject(semaphore, PATIENCE), WAIT_OBJECT_0);
    CHECK_IS(WaitForSingleObject(semaphore, 50), WAIT_TIMEOUT);
    UNTIL(signals >= 100);
    CHECK(timer_delete(timer) == 0);
    join(releases);
    CHECK(CloseHandle(semaphore));
}
