/* Every function that takes handles and addresses, called with what are none: whatever it says, nothing breaks. */
#include "drive.h"

#include <fltuserstructures.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef uintptr_t (*any)(uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t);

/* What a parameter is: a handle, an address that is written or read or both, the address of a string, the address of memory
 * that is to be changed, which must not be the program's own, a number, a time. */
struct function {
    const char *name;
    any call;
    const char *parameters;
};
#define F(name, parameters) {#name, (any)(void (*)(void))name, parameters}

static const struct function functions[] = {
    F(FilterConnectCommunicationPort, "wnansp"), F(FilterSendMessage, "hanpnp"), F(FilterGetMessage, "hpno"),
    F(FilterReplyMessage, "han"), F(FilterFindFirst, "npnpp"), F(FilterFindNext, "hnpnp"), F(FilterFindClose, "h"),
    F(FilterVolumeFindFirst, "npnpp"), F(FilterVolumeFindNext, "hnpnp"), F(FilterVolumeFindClose, "h"),
    F(FilterInstanceFindFirst, "wnpnpp"), F(FilterInstanceFindNext, "hnpnp"), F(FilterInstanceFindClose, "h"),
    F(FilterVolumeInstanceFindFirst, "wnpnpp"), F(FilterVolumeInstanceFindNext, "hnpnp"),
    F(FilterVolumeInstanceFindClose, "h"), F(FilterGetDosName, "wpn"), F(FilterAttach, "wwwnp"),
    F(FilterAttachAtAltitude, "wwwwnp"), F(FilterDetach, "www"), F(FilterLoad, "w"), F(FilterUnload, "w"),
    F(FilterCreate, "wp"), F(FilterClose, "h"), F(FilterGetInformation, "hnpnp"), F(FilterInstanceCreate, "wwwp"),
    F(FilterInstanceClose, "h"), F(FilterInstanceGetInformation, "hnpnp"), F(FilterVolumeClose, "h"),
    F(CloseHandle, "h"), F(DuplicateHandle, "hhhpnnn"), F(CreateEventA, "snnw"), F(CreateEventW, "snnw"),
    F(CreateEventExW, "swnn"), F(OpenEventA, "nnw"), F(OpenEventW, "nnw"), F(SetEvent, "h"), F(ResetEvent, "h"),
    F(PulseEvent, "h"), F(CreateSemaphoreA, "snnw"), F(CreateSemaphoreW, "snnw"), F(OpenSemaphoreW, "nnw"),
    F(ReleaseSemaphore, "hnp"), F(WaitForSingleObject, "ht"), F(WaitForSingleObjectEx, "htn"),
    F(WaitForMultipleObjects, "nant"), F(WaitForMultipleObjectsEx, "nantn"), F(SignalObjectAndWait, "hhtn"),
    F(CreateIoCompletionPort, "hhnn"), F(PostQueuedCompletionStatus, "hnnn"), F(GetQueuedCompletionStatus, "hpppt"),
    F(GetQueuedCompletionStatusEx, "hpnptn"), F(GetOverlappedResult, "hapz"), F(GetOverlappedResultEx, "haptn"),
    F(CancelIo, "h"), F(CancelIoEx, "ha"), F(fltwin32_has_completed, "a"), F(ResumeThread, "h"),
    F(GetExitCodeThread, "hp"), F(GetThreadId, "h"), F(SetThreadPriority, "hz"), F(GetThreadPriority, "h"),
    F(HeapAlloc, "hnn"), F(HeapReAlloc, "hnmn"), F(HeapFree, "hnm"), F(HeapSize, "hnm"), F(LocalFree, "m"),
    F(GlobalFree, "m"), F(VirtualAlloc, "mnnn"), F(VirtualFree, "mnn"), F(VirtualProtect, "mnnp"),
    F(VirtualQuery, "apn"), F(MapViewOfFile, "hnnnn"), F(UnmapViewOfFile, "m"), F(UnmapViewOfFileEx, "mn"),
    F(GetSystemTimeAsFileTime, "p"), F(GetSystemTime, "p"), F(GetLocalTime, "p"), F(FileTimeToSystemTime, "ap"),
    F(SystemTimeToFileTime, "ap"), F(FileTimeToLocalFileTime, "ap"), F(LocalFileTimeToFileTime, "ap"),
    F(QueryPerformanceCounter, "p"), F(QueryPerformanceFrequency, "p"), F(GetSystemDirectoryA, "pn"),
    F(GetSystemDirectoryW, "pn"), F(LoadLibraryA, "w"), F(LoadLibraryW, "w"), F(LoadLibraryExA, "whn"),
    F(LoadLibraryExW, "whn"), F(GetModuleHandleA, "w"), F(GetModuleHandleW, "w"), F(GetProcAddress, "hw"),
    F(FreeLibrary, "h"), F(OutputDebugStringA, "m"), F(OutputDebugStringW, "m"), F(SetLastError, "n"),
};

static uint64_t state;

static uint64_t draw(uint64_t limit) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (state * 0x2545F4914F6CDD1D >> 16) % limit;
}

static char *mapped, *unreadable, *unwritable;
static HANDLE handles[16];

static uintptr_t bad_address(void) {
    switch (draw(9)) {
    case 0: return 0;
    case 1: return 1 + draw(4096);
    case 2: return (uintptr_t)unreadable + draw(4096);
    case 3: return (uintptr_t)mapped + 4096 - draw(32);
    case 4: return 0xFFFF800000000000 + draw(4096);
    case 5: return ~(uintptr_t)0 - draw(64);
    /* below are the program's, a sanitizer's shadow, or all that valgrind is made of */
    case 6: return (uintptr_t)1 << (47 + draw(17));
    case 7: return draw(1 << 30) << 30 | 0x4000000000000000;
    default: return (uintptr_t)unwritable + draw(4096);
    }
}

/* One that belongs to no object. */
static uintptr_t nowhere(void) {
    uintptr_t address = bad_address();
    return address - (uintptr_t)mapped < 3 * 4096 ? 0 : address & ~(uintptr_t)(draw(2) * 4095);
}

static uintptr_t number(void) {
    switch (draw(7)) {
    case 0: return 0;
    case 1: return draw(16);
    case 2: return 0xFFFFFFFF;
    case 3: return 0x80000000 - draw(2);
    case 4: return draw(70000);
    case 5: return (uintptr_t)1 << draw(64);
    default: return draw(UINT64_MAX);
    }
}

static uintptr_t handle(void) {
    switch (draw(6)) {
    case 0: return number();
    case 1: return bad_address();
    case 2: return (uintptr_t)handles[draw(16)] + draw(8);
    case 3: return (uintptr_t)-1 - draw(3);
    default: return (uintptr_t)handles[draw(16)];
    }
}

static uintptr_t parameter(char kind) {
    switch (kind) {
    case 'h': return handle();
    case 'n': return number();
    case 'z': return 0;
    case 't': return draw(2);
    /* where a name is right, a file or a library would be made, or waited for: only wrong ones */
    case 'w': return draw(3) == 0 ? (uintptr_t)L"no such" : bad_address();
    case 'm': return nowhere();
    /* a good OVERLAPPED is one that would be written later */
    case 'o': return draw(2) == 0 ? 0 : bad_address();
    default: return draw(3) == 0 ? (uintptr_t)mapped + draw(2048) : bad_address();
    }
}

/* New handles in place of those that were closed. One connection is closed by the filter: nothing blocks on it. */
static void renew(void) {
    uint32_t number = next_number();
    for (int i = 0; i < 16; i++)
        CloseHandle(handles[i]);
    handles[0] = connect_port(number, 0);
    handles[1] = connect_port(next_number(), 0);
    tell((struct command){.op = CLOSE, .connection = number});
    UNTIL(FilterGetMessage(handles[0], (PFILTER_MESSAGE_HEADER)mapped, 100, NULL) == W(ERROR_INVALID_HANDLE));
    CloseHandle(handles[1]);
    handles[1] = GetCurrentThread();
    handles[2] = CreateEvent(NULL, TRUE, TRUE, NULL);
    handles[3] = CreateEvent(NULL, FALSE, FALSE, NULL);
    handles[4] = CreateSemaphore(NULL, 1, 10, NULL);
    handles[5] = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
    handles[6] = GetCurrentProcess();
    handles[7] = GetProcessHeap();
    DWORD returned;
    FilterFindFirst(FilterFullInformation, mapped, 2048, &returned, &handles[8]);
    FilterVolumeFindFirst(FilterVolumeBasicInformation, mapped, 2048, &returned, &handles[9]);
    for (int i = 10; i < 16; i++)
        handles[i] = NULL;
}

static void call_all(uint64_t seed, int rounds) {
    state = seed;
    for (int i = 0; i < rounds; i++) {
        if (i % 2000 == 0)
            renew();
        const struct function *function = &functions[draw(sizeof functions / sizeof *functions)];
        uintptr_t parameters[8] = {0};
        for (int at = 0; function->parameters[at] != 0; at++)
            parameters[at] = parameter(function->parameters[at]);
        uintptr_t result = function->call(parameters[0], parameters[1], parameters[2], parameters[3], parameters[4],
                                          parameters[5], parameters[6], parameters[7]);
        if (function->call == (any)(void (*)(void))HeapAlloc)
            HeapFree(GetProcessHeap(), 0, (void *)result);
    }
}

TEST(garbage_breaks_nothing) {
    mapped = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(mapped != MAP_FAILED);
    unreadable = mapped + 4096;
    unwritable = mapped + 8192;
    CHECK(mprotect(unreadable, 4096, PROT_NONE) == 0 && mprotect(unwritable, 4096, PROT_READ) == 0);
    call_all(0x9E3779B97F4A7C15, getenv("FEW") != NULL ? 2000 : 20000);
    for (int i = 0; i < 16; i++)
        CloseHandle(handles[i]);
    /* and everything works as before */
    HANDLE port = connect_port(next_number(), 0);
    struct request request = {ANSWER, 0, 5, 5};
    uint8_t answer[16];
    DWORD returned;
    CHECK_HR(FilterSendMessage(port, &request, sizeof request, answer, sizeof answer, &returned), S_OK);
    CHECK_IS(returned, 5);
    CHECK(CloseHandle(port));
    munmap(mapped, 3 * 4096);
}

/* A program's own handler of SIGSEGV sees what is its own, and nothing of ours. */
static volatile sig_atomic_t seen;
static void *volatile where;

static void on_fault(int signal, siginfo_t *info, void *context) {
    (void)signal;
    (void)context;
    seen++;
    where = info->si_addr;
    mprotect((void *)((uintptr_t)info->si_addr & ~(uintptr_t)4095), 4096, PROT_READ | PROT_WRITE);
}

TEST(faults_of_the_program_itself_are_its_own) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO}, before;
    char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    HANDLE port = connect_port(next_number(), 0);
    DWORD returned;
    CHECK_HR(FilterSendMessage(port, page, 16, NULL, 0, &returned), W(ERROR_NOACCESS));
    CHECK_IS(sigaction(SIGSEGV, &action, &before), 0);
    seen = 0;
    *(volatile char *)page = 1;
    CHECK_IS(seen, 1);
    CHECK(where == page);
    CHECK_IS(sigaction(SIGSEGV, &before, NULL), 0);
    CHECK_HR(FilterSendMessage(port, (void *)8, 16, NULL, 0, &returned), W(ERROR_NOACCESS));
    CHECK(CloseHandle(port));
    munmap(page, 4096);
}
