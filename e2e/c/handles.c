/* Handles: what their numbers are, and what is wrong about them. */
#include "test.h"

#include <stdlib.h>

static HANDLE event(void) {
    HANDLE created = CreateEvent(NULL, TRUE, FALSE, NULL);
    CHECK(created != NULL);
    return created;
}

TEST(handles_are_small_multiples_of_four) {
    HANDLE handles[100];
    for (int i = 0; i < 100; i++) {
        handles[i] = event();
        CHECK_IS((ULONG_PTR)handles[i] % 4, 0);
        CHECK(handles[i] == LongToHandle(HandleToLong(handles[i])));
        for (int before = 0; before < i; before++)
            CHECK(handles[i] != handles[before]);
    }
    for (int i = 0; i < 100; i++)
        CHECK(CloseHandle(handles[i]));
}

TEST(the_low_bits_of_a_handle_say_nothing) {
    HANDLE one = event();
    CHECK(SetEvent((HANDLE)((ULONG_PTR)one | 1)));
    CHECK_IS(WaitForSingleObject((HANDLE)((ULONG_PTR)one | 2), 0), WAIT_OBJECT_0);
    CHECK(CloseHandle((HANDLE)((ULONG_PTR)one | 3)));
    CHECK_ERROR(CloseHandle(one), ERROR_INVALID_HANDLE);
}

/* Every function that takes a handle refuses this one. */
static void check_refused(HANDLE bad) {
    LONG before;
    DWORD number;
    ULONG_PTR key;
    HANDLE duplicate;
    LPOVERLAPPED got;
    OVERLAPPED overlapped = {.Internal = STATUS_PENDING};
    CHECK_ERROR(SetEvent(bad), ERROR_INVALID_HANDLE);
    CHECK_ERROR(ResetEvent(bad), ERROR_INVALID_HANDLE);
    CHECK_ERROR(PulseEvent(bad), ERROR_INVALID_HANDLE);
    CHECK_ERROR(ReleaseSemaphore(bad, 1, &before), ERROR_INVALID_HANDLE);
    CHECK_ERROR(WaitForSingleObject(bad, 0) != WAIT_FAILED, ERROR_INVALID_HANDLE);
    CHECK_ERROR(WaitForMultipleObjects(1, &bad, FALSE, 0) != WAIT_FAILED, ERROR_INVALID_HANDLE);
    CHECK_ERROR(GetExitCodeThread(bad, &number), ERROR_INVALID_HANDLE);
    CHECK_ERROR(ResumeThread(bad) != (DWORD)-1, ERROR_INVALID_HANDLE);
    CHECK_ERROR(SetThreadPriority(bad, 0), ERROR_INVALID_HANDLE);
    CHECK_ERROR(CreateIoCompletionPort(bad, NULL, 0, 0), ERROR_INVALID_HANDLE);
    CHECK_ERROR(GetQueuedCompletionStatus(bad, &number, &key, &got, 0), ERROR_INVALID_HANDLE);
    CHECK_ERROR(PostQueuedCompletionStatus(bad, 0, 0, NULL), ERROR_INVALID_HANDLE);
    CHECK_ERROR(CancelIo(bad), ERROR_INVALID_HANDLE);
    CHECK_ERROR(CancelIoEx(bad, NULL), ERROR_INVALID_HANDLE);
    CHECK_ERROR(GetOverlappedResult(bad, &overlapped, &number, TRUE), ERROR_INVALID_HANDLE);
    CHECK_ERROR(MapViewOfFile(bad, FILE_MAP_READ, 0, 0, 0), ERROR_INVALID_HANDLE);
    CHECK_ERROR(DuplicateHandle(GetCurrentProcess(), bad, GetCurrentProcess(), &duplicate, 0, FALSE, DUPLICATE_SAME_ACCESS),
                ERROR_INVALID_HANDLE);
    CHECK_ERROR(CloseHandle(bad), ERROR_INVALID_HANDLE);
}

TEST(stale_forged_and_foreign_handles_are_invalid) {
    HANDLE stale = event(), live = event();
    CHECK(CloseHandle(stale));
    check_refused(stale);
    check_refused(NULL);
    check_refused((HANDLE)4);
    check_refused((HANDLE)0x3FFFFFFC);
    check_refused((HANDLE)0x7FFFFFFC);
    check_refused((HANDLE)(ULONG_PTR)&stale);
    check_refused((HANDLE)((ULONG_PTR)live | 1ULL << 32));
    check_refused((HANDLE)((ULONG_PTR)live ^ 1U << 20));
    CHECK(CloseHandle(live));
}

TEST(a_stale_handle_stays_invalid_for_long) {
    HANDLE stale = event();
    CHECK(CloseHandle(stale));
    for (int i = 0; i < 100000; i++) {
        CHECK(CloseHandle(event()));
        if (i % 1000 == 0)
            CHECK_ERROR(SetEvent(stale), ERROR_INVALID_HANDLE);
    }
}

TEST(a_handle_of_another_kind_is_invalid_for_a_call) {
    HANDLE one = event(), semaphore = CreateSemaphore(NULL, 0, 1, NULL), port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
    CHECK_ERROR(ReleaseSemaphore(one, 1, NULL), ERROR_INVALID_HANDLE);
    CHECK_ERROR(SetEvent(semaphore), ERROR_INVALID_HANDLE);
    CHECK_ERROR(SetEvent(port), ERROR_INVALID_HANDLE);
    CHECK_ERROR(PostQueuedCompletionStatus(one, 0, 0, NULL), ERROR_INVALID_HANDLE);
    CHECK_ERROR(CreateIoCompletionPort(one, port, 0, 0), ERROR_INVALID_HANDLE);
    CHECK_ERROR(CancelIoEx(one, NULL), ERROR_INVALID_HANDLE);
    CHECK(CloseHandle(one) && CloseHandle(semaphore) && CloseHandle(port));
}

TEST(pseudo_handles_are_closed_without_effect) {
    CHECK(CloseHandle(GetCurrentProcess()));
    CHECK(CloseHandle(GetCurrentThread()));
    HANDLE self;
    CHECK(DuplicateHandle(GetCurrentProcess(), GetCurrentThread(), GetCurrentProcess(), &self, 0, FALSE, DUPLICATE_SAME_ACCESS));
    DWORD code;
    CHECK(GetExitCodeThread(self, &code));
    CHECK_IS(code, STILL_ACTIVE);
    CHECK_IS(GetThreadId(self), GetCurrentThreadId());
    CHECK_IS(WaitForSingleObject(self, 0), WAIT_TIMEOUT);
    CHECK(CloseHandle(self));
}

TEST(a_duplicate_is_another_handle_to_the_same_object) {
    HANDLE one = event(), other;
    CHECK(DuplicateHandle(GetCurrentProcess(), one, GetCurrentProcess(), &other, 0, FALSE, DUPLICATE_SAME_ACCESS));
    CHECK(one != other && SetEvent(one));
    CHECK_IS(WaitForSingleObject(other, 0), WAIT_OBJECT_0);
    HANDLE moved;
    CHECK(DuplicateHandle(GetCurrentProcess(), one, GetCurrentProcess(), &moved, 0, FALSE,
                          DUPLICATE_SAME_ACCESS | DUPLICATE_CLOSE_SOURCE));
    CHECK_ERROR(CloseHandle(one), ERROR_INVALID_HANDLE);
    CHECK(ResetEvent(moved));
    CHECK_IS(WaitForSingleObject(other, 0), WAIT_TIMEOUT);
    CHECK(CloseHandle(other) && CloseHandle(moved));
}

TEST(a_duplicate_has_the_rights_that_it_was_given) {
    HANDLE one = event(), waits, sets;
    CHECK(DuplicateHandle(GetCurrentProcess(), one, GetCurrentProcess(), &waits, SYNCHRONIZE, FALSE, 0));
    CHECK(DuplicateHandle(GetCurrentProcess(), one, GetCurrentProcess(), &sets, EVENT_MODIFY_STATE, FALSE, 0));
    CHECK_ERROR(SetEvent(waits), ERROR_ACCESS_DENIED);
    CHECK_ERROR(WaitForSingleObject(sets, 0) != WAIT_FAILED, ERROR_ACCESS_DENIED);
    CHECK(SetEvent(sets));
    CHECK_IS(WaitForSingleObject(waits, 0), WAIT_OBJECT_0);
    CHECK(CloseHandle(one) && CloseHandle(waits) && CloseHandle(sets));
}

TEST(a_handle_is_duplicated_within_the_process_only) {
    HANDLE one = event(), other;
    CHECK_ERROR(DuplicateHandle((HANDLE)4, one, GetCurrentProcess(), &other, 0, FALSE, 0), ERROR_INVALID_HANDLE);
    CHECK_ERROR(DuplicateHandle(GetCurrentProcess(), one, NULL, &other, 0, FALSE, 0), ERROR_INVALID_HANDLE);
    CHECK_ERROR(DuplicateHandle(GetCurrentProcess(), one, GetCurrentProcess(), (HANDLE *)8, 0, FALSE, 0), ERROR_NOACCESS);
    CHECK(CloseHandle(one));
}

TEST(handles_run_out_with_an_error_and_come_back) {
    static HANDLE handles[70000];
    int count = 0;
    while (count < 70000) {
        SetLastError(0);
        handles[count] = CreateEvent(NULL, TRUE, FALSE, NULL);
        if (handles[count] == NULL)
            break;
        count++;
    }
    CHECK_IS(GetLastError(), ERROR_NO_SYSTEM_RESOURCES);
    CHECK(count > 60000);
    for (int i = 0; i < count; i++)
        CHECK(CloseHandle(handles[i]));
    CHECK(CloseHandle(event()));
}

static DWORD open_and_close(void *parameter) {
    (void)parameter;
    for (int i = 0; i < 5000; i++) {
        HANDLE one = event();
        CHECK(SetEvent(one));
        CHECK(CloseHandle(one));
    }
    return 0;
}

TEST(threads_open_and_close_side_by_side) {
    HANDLE threads[4];
    for (int i = 0; i < 4; i++)
        threads[i] = thread(open_and_close, NULL, NULL);
    for (int i = 0; i < 4; i++)
        join(threads[i]);
}

static DWORD last_error(void *parameter) {
    (void)parameter;
    return GetLastError();
}

TEST(each_thread_has_its_own_last_error) {
    SetLastError(77);
    CHECK_IS(join(thread(last_error, NULL, NULL)), 0);
    SetLastError(78);
    CHECK_IS(GetLastError(), 78);
}
