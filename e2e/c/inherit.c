/* Handles in other processes: inherited by a child after fork and exec under the same number, or not there at all. */
#include "drive.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static SECURITY_ATTRIBUTES inheritable = {sizeof(SECURITY_ATTRIBUTES), NULL, TRUE};

static const char *number_of(HANDLE handle) {
    static char text[8][32];
    static int next;
    char *to = text[next++ % 8];
    snprintf(to, sizeof text[0], "%u", HandleToULong(handle));
    return to;
}

static HANDLE handle_of(const char *number) {
    return ULongToHandle((ULONG)strtoul(number, NULL, 10));
}

static HANDLE connect_inheritable(uint32_t number) {
    struct context context = {TESTED, number, 0, 0};
    HANDLE port;
    CHECK_HR(FilterConnectCommunicationPort(PORT, 0, &context, sizeof context, &inheritable, &port), S_OK);
    return port;
}

CHILD(answers_one_message) {
    HANDLE port = handle_of(argument);
    struct message message;
    CHECK_HR(FilterGetMessage(port, &message.header, MESSAGE_SIZE, NULL), S_OK);
    check_message(&message, 100);
    CHECK_HR(reply_with(port, message.header.MessageId, 42, 4), S_OK);
    CHECK(CloseHandle(port));
    CHECK_ERROR(CloseHandle(port), ERROR_INVALID_HANDLE);
}

/* The last handle is closed when the filter has taken the answer: the end of a connection wins over an answer. */
CHILD(answers_one_message_and_gets_another) {
    HANDLE port = handle_of(argument);
    struct message message;
    CHECK_HR(FilterGetMessage(port, &message.header, MESSAGE_SIZE, NULL), S_OK);
    CHECK_HR(reply_with(port, message.header.MessageId, 42, 4), S_OK);
    CHECK_HR(FilterGetMessage(port, &message.header, MESSAGE_SIZE, NULL), S_OK);
    CHECK(CloseHandle(port));
}

TEST(a_child_has_the_port_under_the_same_number_after_exec) {
    uint32_t number = next_number();
    HANDLE port = connect_inheritable(number);
    int child = start_child("answers_one_message", number_of(port));
    struct told told = outcome(filter_asks(number, 100, 4, FOR_EVER));
    CHECK_IS(told.status, 42);
    finish_child(child);
    CHECK_IS(disconnects(number), 0);
    CHECK(CloseHandle(port));
    CHECK_IS(disconnects(number), 1);
}

TEST(row_036_a_child_keeps_the_connection_of_a_parent_that_has_closed_it) {
    uint32_t number = next_number();
    HANDLE port = connect_inheritable(number);
    int child = start_child("answers_one_message_and_gets_another", number_of(port));
    CHECK(CloseHandle(port));
    CHECK_IS(disconnects(number), 0);
    CHECK_IS(outcome(filter_asks(number, 100, 4, FOR_EVER)).status, 42);
    CHECK_IS(outcome(filter_sends(number, 1, FOR_EVER)).status, 0);
    finish_child(child);
    UNTIL(disconnects(number) == 1);
}

CHILD(waits_for_a_message) {
    struct message message;
    FilterGetMessage(handle_of(argument), &message.header, MESSAGE_SIZE, NULL);
}

TEST(row_035_a_child_that_is_killed_takes_its_receives_along_and_leaves_the_connection) {
    uint32_t number = next_number();
    HANDLE port = connect_inheritable(number);
    int child = start_child("waits_for_a_message", number_of(port)), status;
    UNTIL(is_asleep((DWORD)child));
    CHECK_IS(kill(child, SIGKILL), 0);
    CHECK_IS(waitpid(child, &status, 0), child);
    CHECK_IS(disconnects(number), 0);
    struct message message;
    uint64_t ticket = filter_asks(number, 100, 4, FOR_EVER);
    CHECK_HR(FilterGetMessage(port, &message.header, MESSAGE_SIZE, NULL), S_OK);
    check_message(&message, 100);
    CHECK_HR(reply_with(port, message.header.MessageId, 42, 4), S_OK);
    CHECK_IS(outcome(ticket).status, 42);
    CHECK(CloseHandle(port));
    CHECK_IS(disconnects(number), 1);
}

TEST(a_forked_child_has_the_port_too) {
    uint32_t number = next_number();
    HANDLE port = connect_inheritable(number);
    int child = fork_child(answers_one_message, number_of(port));
    CHECK_IS(outcome(filter_asks(number, 100, 4, FOR_EVER)).status, 42);
    finish_child(child);
    CHECK(CloseHandle(port));
}

CHILD(finds_no_handle) {
    HANDLE handle = handle_of(argument);
    struct message message;
    DWORD returned;
    CHECK_HR(FilterGetMessage(handle, &message.header, MESSAGE_SIZE, NULL), W(ERROR_INVALID_HANDLE));
    CHECK_HR(FilterSendMessage(handle, &message, 1, NULL, 0, &returned), W(ERROR_INVALID_HANDLE));
    CHECK_ERROR(SetEvent(handle), ERROR_INVALID_HANDLE);
    CHECK_ERROR(CloseHandle(handle), ERROR_INVALID_HANDLE);
}

TEST(a_handle_that_is_not_inherited_does_not_exist_in_a_child) {
    HANDLE port = connect_port(next_number(), 0), event = CreateEvent(NULL, TRUE, FALSE, NULL);
    finish_child(start_child("finds_no_handle", number_of(port)));
    finish_child(start_child("finds_no_handle", number_of(event)));
    finish_child(fork_child(finds_no_handle, number_of(port)));
    finish_child(fork_child(finds_no_handle, number_of(event)));
    CHECK(SetEvent(event));
    CHECK(CloseHandle(port) && CloseHandle(event));
}

TEST(a_closed_handle_is_not_inherited) {
    HANDLE port = connect_inheritable(next_number());
    CHECK(CloseHandle(port));
    finish_child(start_child("finds_no_handle", number_of(port)));
    HANDLE other = connect_inheritable(next_number());
    finish_child(start_child("finds_no_handle", number_of(port)));
    CHECK(CloseHandle(other));
}

TEST(a_duplicate_is_inherited_if_it_is_asked_for) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0), duplicate;
    CHECK(DuplicateHandle(GetCurrentProcess(), port, GetCurrentProcess(), &duplicate, 0, TRUE, DUPLICATE_SAME_ACCESS));
    finish_child(start_child("finds_no_handle", number_of(port)));
    int child = start_child("answers_one_message", number_of(duplicate));
    CHECK_IS(outcome(filter_asks(number, 100, 4, FOR_EVER)).status, 42);
    finish_child(child);
    CHECK(CloseHandle(port));
    CHECK_IS(disconnects(number), 0);
    CHECK(CloseHandle(duplicate));
    CHECK_IS(disconnects(number), 1);
}

CHILD(starts_a_grandchild) {
    finish_child(start_child("answers_one_message", argument));
}

TEST(a_grandchild_inherits_from_a_child_that_did_not_use_the_handle) {
    uint32_t number = next_number();
    HANDLE port = connect_inheritable(number);
    int child = start_child("starts_a_grandchild", number_of(port));
    CHECK_IS(outcome(filter_asks(number, 100, 4, FOR_EVER)).status, 42);
    finish_child(child);
    CHECK(CloseHandle(port));
    CHECK_IS(disconnects(number), 1);
}

CHILD(sets_the_event_and_waits_for_the_semaphore) {
    unsigned event, semaphore;
    CHECK(sscanf(argument, "%u %u", &event, &semaphore) == 2);
    CHECK(SetEvent(ULongToHandle(event)));
    CHECK_IS(WaitForSingleObject(ULongToHandle(semaphore), PATIENCE), WAIT_OBJECT_0);
    CHECK(ResetEvent(ULongToHandle(event)));
    /* a handle of its own has another number */
    HANDLE own = CreateEvent(NULL, TRUE, FALSE, NULL);
    CHECK(own != ULongToHandle(event) && own != ULongToHandle(semaphore) && CloseHandle(own));
}

TEST(events_and_semaphores_are_inherited) {
    HANDLE event = CreateEvent(&inheritable, TRUE, FALSE, NULL), semaphore = CreateSemaphore(&inheritable, 0, 1, NULL);
    char numbers[64];
    snprintf(numbers, sizeof numbers, "%u %u", HandleToULong(event), HandleToULong(semaphore));
    int child = start_child("sets_the_event_and_waits_for_the_semaphore", numbers);
    CHECK_IS(WaitForSingleObject(event, PATIENCE), WAIT_OBJECT_0);
    CHECK(ReleaseSemaphore(semaphore, 1, NULL));
    finish_child(child);
    CHECK_IS(WaitForSingleObject(event, 0), WAIT_TIMEOUT);
    CHECK(CloseHandle(event) && CloseHandle(semaphore));
}

CHILD(sets_the_named_event) {
    WCHAR name[64];
    CHECK(MultiByteToWideChar(CP_UTF8, 0, argument, -1, name, 64) > 0);
    HANDLE event = OpenEvent(EVENT_MODIFY_STATE, FALSE, name);
    CHECK(event != NULL && SetEvent(event) && CloseHandle(event));
}

TEST(another_process_finds_an_event_by_its_name) {
    char name[64];
    snprintf(name, sizeof name, "Local\\fltwin32-named-%u", GetCurrentProcessId());
    HANDLE event = CreateEventA(NULL, FALSE, FALSE, name);
    CHECK(event != NULL);
    int child = start_child("sets_the_named_event", name);
    CHECK_IS(WaitForSingleObject(event, PATIENCE), WAIT_OBJECT_0);
    finish_child(child);
    CHECK(CloseHandle(event));
}

static void uses_the_library(const char *argument) {
    (void)argument;
    HANDLE event = CreateEvent(NULL, FALSE, FALSE, NULL), port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
    CHECK(SetEvent(event) && WaitForSingleObject(event, 0) == WAIT_OBJECT_0);
    OVERLAPPED_ENTRY entry;
    ULONG removed;
    CHECK(PostQueuedCompletionStatus(port, 1, 2, NULL));
    CHECK(GetQueuedCompletionStatusEx(port, &entry, 1, &removed, INFINITE, FALSE));
    CHECK(CloseHandle(event) && CloseHandle(port));
    struct context context = {TESTED, 0, 0, 0};
    HANDLE connected;
    CHECK_HR(FilterConnectCommunicationPort(PORT, 0, &context, sizeof context, NULL, &connected), S_OK);
    struct request request = {ANSWER, 0, 0, 0};
    DWORD returned;
    CHECK_HR(FilterSendMessage(connected, &request, sizeof request, NULL, 0, &returned), S_OK);
    CHECK(CloseHandle(connected));
}

static DWORD keep_busy(void *stop) {
    while (WaitForSingleObject(stop, 0) == WAIT_TIMEOUT)
        CHECK(CloseHandle(CreateSemaphore(NULL, 0, 1, NULL)));
    return 0;
}

TEST(a_fork_in_the_midst_of_everything_has_a_library_of_its_own) {
    HANDLE stop = CreateEvent(NULL, TRUE, FALSE, NULL), port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
    HANDLE busy[2] = {thread(keep_busy, stop, NULL), thread(keep_busy, stop, NULL)};
    /* this thread runs for a port of which a child knows nothing */
    OVERLAPPED_ENTRY entry;
    ULONG removed;
    CHECK(PostQueuedCompletionStatus(port, 1, 2, NULL));
    CHECK(GetQueuedCompletionStatusEx(port, &entry, 1, &removed, INFINITE, FALSE));
    for (int i = 0; i < 20; i++)
        finish_child(fork_child(uses_the_library, NULL));
    CHECK(SetEvent(stop));
    join(busy[0]);
    join(busy[1]);
    CHECK(CloseHandle(stop) && CloseHandle(port));
}

static bool is_thread_of_ours(unsigned task) {
    return task != (unsigned)getpid();
}

static int threads(void) {
    int count = 0;
    FILE *list = popen("ls /proc/$PPID/task", "r");
    CHECK(list != NULL);
    unsigned task;
    while (fscanf(list, "%u", &task) == 1)
        count += is_thread_of_ours(task);
    pclose(list);
    return count;
}

CHILD(counts_its_threads) {
    HANDLE event = CreateEvent(NULL, FALSE, FALSE, NULL);
    CHECK_IS(WaitForSingleObject(event, 1), WAIT_TIMEOUT);
    CHECK_IS(threads(), 0);
    CHECK(CloseHandle(event));
    (void)argument;
}

TEST(there_is_no_thread_before_one_is_needed) {
    finish_child(start_child("counts_its_threads", ""));
}
