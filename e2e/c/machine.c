/* Time, libraries, critical sections, Interlocked, __try. */
#include "test.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

TEST(times_are_calendars_and_back) {
    SYSTEMTIME calendar, again;
    FILETIME time;
    /* 2000-02-29T12:34:56.789Z */
    ULONGLONG ticks = 125963012967890000ULL;
    time.dwLowDateTime = (DWORD)ticks;
    time.dwHighDateTime = (DWORD)(ticks >> 32);
    CHECK(FileTimeToSystemTime(&time, &calendar));
    CHECK_IS(calendar.wYear, 2000);
    CHECK_IS(calendar.wMonth, 2);
    CHECK_IS(calendar.wDay, 29);
    CHECK_IS(calendar.wDayOfWeek, 2);
    CHECK_IS(calendar.wHour, 12);
    CHECK_IS(calendar.wMinute, 34);
    CHECK_IS(calendar.wSecond, 56);
    CHECK_IS(calendar.wMilliseconds, 789);
    FILETIME back;
    CHECK(SystemTimeToFileTime(&calendar, &back));
    CHECK(back.dwLowDateTime == time.dwLowDateTime && back.dwHighDateTime == time.dwHighDateTime);
    time = (FILETIME){0, 0};
    CHECK(FileTimeToSystemTime(&time, &calendar));
    CHECK(calendar.wYear == 1601 && calendar.wMonth == 1 && calendar.wDay == 1 && calendar.wDayOfWeek == 1);
    time = (FILETIME){0xFFFFFFFF, 0xFFFFFFFF};
    CHECK_ERROR(FileTimeToSystemTime(&time, &calendar), ERROR_INVALID_PARAMETER);
    calendar = (SYSTEMTIME){2001, 2, 0, 29, 0, 0, 0, 0};
    CHECK_ERROR(SystemTimeToFileTime(&calendar, &back), ERROR_INVALID_PARAMETER);
    GetSystemTime(&calendar);
    GetLocalTime(&again);
    CHECK(calendar.wYear >= 2024 && again.wYear >= 2024);
}

static ULONGLONG ticks_of(FILETIME time) {
    return (ULONGLONG)time.dwHighDateTime << 32 | time.dwLowDateTime;
}

TEST(the_clock_is_that_of_the_system) {
    FILETIME time, local, back;
    GetSystemTimeAsFileTime(&time);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    LONGLONG seconds = (LONGLONG)(ticks_of(time) / 10000000) - 11644473600LL;
    CHECK(seconds <= now.tv_sec && seconds >= now.tv_sec - 60);
    CHECK(FileTimeToLocalFileTime(&time, &local) && LocalFileTimeToFileTime(&local, &back));
    CHECK_IS(ticks_of(back), ticks_of(time));
    struct tm tm;
    localtime_r(&now.tv_sec, &tm);
    LONGLONG ahead = ((LONGLONG)ticks_of(local) - (LONGLONG)ticks_of(time)) / 10000000;
    CHECK_IS(ahead, tm.tm_gmtoff);
}

TEST(counters_only_grow) {
    LARGE_INTEGER frequency, one, other;
    CHECK(QueryPerformanceFrequency(&frequency) && frequency.QuadPart > 0);
    ULONGLONG tick = GetTickCount64();
    CHECK(QueryPerformanceCounter(&one));
    Sleep(20);
    CHECK(QueryPerformanceCounter(&other));
    CHECK(other.QuadPart - one.QuadPart >= frequency.QuadPart / 50);
    CHECK(GetTickCount64() - tick >= 19);
    CHECK((DWORD)(GetTickCount() - (DWORD)GetTickCount64()) + 1000 < 2000);
}

TEST(functions_are_found_in_libraries) {
    HMODULE fltlib = LoadLibraryW(L"FltLib.dll"), kernel = GetModuleHandleA("kernel32");
    CHECK(fltlib != NULL && kernel != NULL);
    CHECK((void *)GetProcAddress(fltlib, "FilterSendMessage") == (void *)FilterSendMessage);
    CHECK((void *)GetProcAddress(kernel, "CloseHandle") == (void *)CloseHandle);
    CHECK_ERROR(GetProcAddress(kernel, "NoSuchFunction"), ERROR_PROC_NOT_FOUND);
    CHECK_ERROR(LoadLibraryA("no-such-library.dll"), ERROR_MOD_NOT_FOUND);
    CHECK_ERROR(GetModuleHandleA("no-such-library.dll"), ERROR_MOD_NOT_FOUND);
    CHECK(GetModuleHandleW(NULL) != NULL);
    CHECK(FreeLibrary(fltlib));
    CHECK_ERROR(FreeLibrary(NULL), ERROR_INVALID_HANDLE);
    CHECK_ERROR(FreeLibrary((HMODULE)&kernel), ERROR_INVALID_HANDLE);
    CHECK_ERROR(GetProcAddress((HMODULE)&kernel, "CloseHandle"), ERROR_INVALID_HANDLE);
    WCHAR directory[MAX_PATH];
    UINT length = GetSystemDirectoryW(directory, MAX_PATH);
    CHECK(length > 0 && length == wcslen(directory));
    CHECK_IS(GetSystemDirectoryW(directory, 1), length + 1);
}

static CRITICAL_SECTION section;
static volatile LONG inside, entered;

static DWORD enters(void *count) {
    for (ULONG_PTR i = 0; i < (ULONG_PTR)count; i++) {
        EnterCriticalSection(&section);
        EnterCriticalSection(&section);
        CHECK_IS(InterlockedIncrement(&inside), 1);
        entered++;
        CHECK_IS(InterlockedDecrement(&inside), 0);
        LeaveCriticalSection(&section);
        LeaveCriticalSection(&section);
    }
    return 0;
}

static DWORD tries(void *unused) {
    (void)unused;
    return (DWORD)TryEnterCriticalSection(&section);
}

TEST(one_thread_is_in_a_critical_section) {
    InitializeCriticalSection(&section);
    HANDLE threads[4];
    for (int i = 0; i < 4; i++)
        threads[i] = thread(enters, (void *)5000, NULL);
    for (int i = 0; i < 4; i++)
        join(threads[i]);
    CHECK_IS(entered, 20000);
    EnterCriticalSection(&section);
    CHECK(TryEnterCriticalSection(&section));
    CHECK_IS(join(thread(tries, NULL, NULL)), FALSE);
    LeaveCriticalSection(&section);
    LeaveCriticalSection(&section);
    DeleteCriticalSection(&section);
    CHECK(InitializeCriticalSectionAndSpinCount(&section, 4000));
    DeleteCriticalSection(&section);
}

TEST(interlocked_operations_give_what_they_give_on_windows) {
    volatile LONG number = 5;
    CHECK_IS(InterlockedIncrement(&number), 6);
    CHECK_IS(InterlockedDecrement(&number), 5);
    CHECK_IS(InterlockedExchange(&number, 9), 5);
    CHECK_IS(InterlockedExchangeAdd(&number, 2), 9);
    CHECK_IS(InterlockedCompareExchange(&number, 1, 7), 11);
    CHECK_IS(InterlockedCompareExchange(&number, 1, 11), 11);
    CHECK_IS(InterlockedOr(&number, 6), 1);
    CHECK_IS(InterlockedAnd(&number, 3), 7);
    CHECK_IS(number, 3);
    volatile LONGLONG big = 1;
    CHECK_IS(InterlockedAdd64(&big, 1LL << 40), (1LL << 40) + 1);
    PVOID volatile pointer = NULL;
    CHECK(InterlockedExchangePointer(&pointer, &big) == NULL);
    CHECK(InterlockedCompareExchangePointer(&pointer, NULL, (PVOID)&big) == (PVOID)&big && pointer == NULL);
}

static int left(int when) {
    int finished = 0, after = 0;
    __try {
        if (when == 0)
            __leave;
        __try {
            if (when == 1)
                __leave;
            after += 1;
        }
        __finally {
            finished += 10;
        }
        after += 2;
    }
    __finally {
        finished += 100;
    }
    return finished + after;
}

TEST(what_is_finally_done_is_done) {
    CHECK_IS(left(0), 100);
    CHECK_IS(left(1), 112);
    CHECK_IS(left(2), 113);
}

CHILD(exits) {
    (void)argument;
    ExitProcess(0);
}

TEST(a_process_exits) {
    finish_child(start_child("exits", ""));
}
