/* Completion ports, and overlapped receives that are told in every way. */
#include "drive.h"

#include <string.h>

static HANDLE new_port(DWORD threads) {
    HANDLE port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, threads);
    CHECK(port != NULL);
    return port;
}

struct got {
    BOOL success;
    DWORD bytes, error;
    ULONG_PTR key;
    LPOVERLAPPED overlapped;
};

static struct got get(HANDLE port, DWORD milliseconds) {
    struct got got;
    SetLastError(0);
    got.success = GetQueuedCompletionStatus(port, &got.bytes, &got.key, &got.overlapped, milliseconds);
    got.error = GetLastError();
    return got;
}

TEST(packets_come_in_the_order_of_posting) {
    HANDLE port = new_port(0);
    OVERLAPPED overlapped;
    for (DWORD i = 0; i < 100; i++)
        CHECK(PostQueuedCompletionStatus(port, i, i * 7, &overlapped));
    for (DWORD i = 0; i < 100; i++) {
        struct got got = get(port, INFINITE);
        CHECK(got.success && got.bytes == i && got.key == i * 7 && got.overlapped == &overlapped);
    }
    struct got none = get(port, 0);
    CHECK(!none.success && none.overlapped == NULL);
    CHECK_IS(none.error, WAIT_TIMEOUT);
    none = get(port, 5);
    CHECK_IS(none.error, WAIT_TIMEOUT);
    CHECK(CloseHandle(port));
}

TEST(several_packets_are_taken_at_once) {
    HANDLE port = new_port(0);
    OVERLAPPED_ENTRY entries[8];
    ULONG removed = 99;
    CHECK_ERROR(GetQueuedCompletionStatusEx(port, entries, 8, &removed, 0, FALSE), WAIT_TIMEOUT);
    CHECK_IS(removed, 0);
    CHECK_ERROR(GetQueuedCompletionStatusEx(port, entries, 0, &removed, 0, FALSE), ERROR_INVALID_PARAMETER);
    for (DWORD i = 0; i < 10; i++)
        CHECK(PostQueuedCompletionStatus(port, i, i, NULL));
    CHECK(GetQueuedCompletionStatusEx(port, entries, 8, &removed, INFINITE, FALSE));
    CHECK_IS(removed, 8);
    for (DWORD i = 0; i < 8; i++)
        CHECK(entries[i].dwNumberOfBytesTransferred == i && entries[i].lpCompletionKey == i);
    CHECK(GetQueuedCompletionStatusEx(port, entries, 8, &removed, INFINITE, FALSE));
    CHECK_IS(removed, 2);
    CHECK(CloseHandle(port));
}

struct worker {
    HANDLE port, thread;
    DWORD id;
    LONG packets;
};

static DWORD work(void *parameter) {
    struct worker *worker = parameter;
    for (;;) {
        struct got got = get(worker->port, INFINITE);
        if (!got.success)
            return got.error;
        InterlockedIncrement(&worker->packets);
    }
}

/* Threads that wait for packets, in this order. */
static void start_workers(struct worker *workers, int count, HANDLE port) {
    for (int i = 0; i < count; i++) {
        workers[i].port = port;
        workers[i].packets = 0;
        workers[i].thread = thread(work, &workers[i], &workers[i].id);
        UNTIL(is_asleep(workers[i].id));
    }
}

TEST(the_thread_that_came_last_is_the_first_to_go) {
    HANDLE port = new_port(4);
    struct worker workers[4];
    start_workers(workers, 4, port);
    for (int i = 0; i < 50; i++) {
        CHECK(PostQueuedCompletionStatus(port, 0, 0, NULL));
        UNTIL(workers[3].packets == i + 1 && is_asleep(workers[3].id));
    }
    CHECK_IS(workers[0].packets + workers[1].packets + workers[2].packets, 0);
    CHECK(CloseHandle(port));
    for (int i = 0; i < 4; i++)
        CHECK_IS(join(workers[i].thread), ERROR_ABANDONED_WAIT_0);
}

TEST(closing_the_port_ends_the_waits_for_it) {
    HANDLE port = new_port(0);
    struct worker workers[3];
    start_workers(workers, 3, port);
    CHECK(CloseHandle(port));
    for (int i = 0; i < 3; i++)
        CHECK_IS(join(workers[i].thread), ERROR_ABANDONED_WAIT_0);
    CHECK_IS(get(port, 0).error, ERROR_INVALID_HANDLE);
}

struct turn {
    HANDLE port, go;
    LONG inside, most, sleeps;
};

static DWORD take_turns(void *parameter) {
    struct turn *turn = parameter;
    for (;;) {
        struct got got = get(turn->port, INFINITE);
        if (!got.success)
            return 0;
        LONG inside = InterlockedIncrement(&turn->inside);
        if (inside > turn->most)
            InterlockedExchange(&turn->most, inside);
        if (got.key == 1)
            CHECK_IS(WaitForSingleObject(turn->go, PATIENCE), WAIT_OBJECT_0);
        else {
            ULONGLONG end = GetTickCount64() + 5;
            while (GetTickCount64() < end) {
            }
        }
        InterlockedDecrement(&turn->inside);
    }
}

TEST(no_more_threads_run_than_the_port_allows) {
    struct turn turn = {new_port(2), CreateEvent(NULL, TRUE, FALSE, NULL), 0, 0, 0};
    HANDLE threads[5];
    for (int i = 0; i < 5; i++)
        threads[i] = thread(take_turns, &turn, NULL);
    for (int i = 0; i < 40; i++)
        CHECK(PostQueuedCompletionStatus(turn.port, 0, 0, NULL));
    UNTIL(turn.inside == 0 && WaitForSingleObject(turn.port, 0) == WAIT_TIMEOUT);
    CHECK_IS(turn.most, 2);
    CHECK(CloseHandle(turn.port) && CloseHandle(turn.go));
    for (int i = 0; i < 5; i++)
        join(threads[i]);
}

TEST(a_thread_that_waits_lends_its_turn) {
    struct turn turn = {new_port(1), CreateEvent(NULL, TRUE, FALSE, NULL), 0, 0, 0};
    HANDLE threads[3];
    for (int i = 0; i < 3; i++)
        threads[i] = thread(take_turns, &turn, NULL);
    for (int i = 0; i < 3; i++)
        CHECK(PostQueuedCompletionStatus(turn.port, 0, 1, NULL));
    UNTIL(turn.inside == 3);
    CHECK(SetEvent(turn.go));
    UNTIL(turn.inside == 0);
    CHECK(CloseHandle(turn.port) && CloseHandle(turn.go));
    for (int i = 0; i < 3; i++)
        join(threads[i]);
}

TEST(a_port_is_signalled_while_it_has_packets) {
    HANDLE port = new_port(0);
    CHECK_IS(WaitForSingleObject(port, 0), WAIT_TIMEOUT);
    CHECK(PostQueuedCompletionStatus(port, 0, 0, NULL));
    CHECK_IS(WaitForSingleObject(port, PATIENCE), WAIT_OBJECT_0);
    CHECK_IS(WaitForSingleObject(port, PATIENCE), WAIT_OBJECT_0);
    CHECK(get(port, 0).success);
    CHECK_IS(WaitForSingleObject(port, 0), WAIT_TIMEOUT);
    CHECK(CloseHandle(port));
}

TEST(a_port_is_made_with_a_file_or_without) {
    CHECK_ERROR(CreateIoCompletionPort(INVALID_HANDLE_VALUE, (HANDLE)4, 0, 0), ERROR_INVALID_PARAMETER);
    HANDLE file = connect_port(next_number(), 0), port = new_port(0);
    CHECK_ERROR(CreateIoCompletionPort(file, file, 0, 0), ERROR_INVALID_HANDLE);
    CHECK(CreateIoCompletionPort(file, port, 5, 0) == port);
    CHECK_ERROR(CreateIoCompletionPort(file, port, 5, 0), ERROR_INVALID_PARAMETER);
    CHECK_ERROR(CreateIoCompletionPort(file, NULL, 5, 0), ERROR_INVALID_PARAMETER);
    CHECK(CloseHandle(file) && CloseHandle(port));
}

static void post(HANDLE port, struct message *message) {
    CHECK_HR(FilterGetMessage(port, &message->header, MESSAGE_SIZE, &message->overlapped), W(ERROR_IO_PENDING));
}

TEST(messages_of_several_connections_come_to_one_port_each_with_its_key) {
    enum { FILES = 3, POSTED = 5 };
    HANDLE port = new_port(0), files[FILES];
    static struct message messages[FILES][POSTED];
    uint32_t numbers[FILES];
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < FILES; i++) {
        numbers[i] = next_number();
        files[i] = connect_port(numbers[i], 0);
        CHECK(CreateIoCompletionPort(files[i], port, (ULONG_PTR)i + 100, 0) == port);
        for (int m = 0; m < POSTED; m++)
            post(files[i], &messages[i][m]);
    }
    for (int turn = 0; turn < 60; turn++) {
        int i = turn % FILES;
        uint64_t asked = filter_asks(numbers[i], 64, 4, FOR_EVER);
        struct got got = get(port, PATIENCE);
        CHECK(got.success && got.key == (ULONG_PTR)i + 100 && got.bytes == 80);
        struct message *message = CONTAINING_RECORD(got.overlapped, struct message, overlapped);
        check_message(message, 64);
        CHECK_HR(reply_with(files[i], message->header.MessageId, 0, 4), S_OK);
        CHECK_IS(outcome(asked).status, 0);
        post(files[i], message);
    }
    CHECK(CloseHandle(files[1]));
    for (int m = 0; m < POSTED; m++) {
        struct got got = get(port, PATIENCE);
        CHECK(!got.success && got.overlapped != NULL && got.key == 101);
        CHECK_IS(got.error, ERROR_INVALID_HANDLE);
    }
    CHECK_IS(get(port, 0).error, WAIT_TIMEOUT);
    CHECK(CloseHandle(files[0]) && CloseHandle(files[2]) && CloseHandle(port));
}

TEST(a_connection_may_join_a_port_that_is_waited_for) {
    HANDLE port = new_port(0);
    struct worker workers[2];
    start_workers(workers, 2, port);
    uint32_t number = next_number();
    HANDLE file = connect_port(number, 0);
    CHECK(CreateIoCompletionPort(file, port, 1, 0) == port);
    static struct message message;
    memset(&message, 0, sizeof message);
    post(file, &message);
    CHECK_IS(outcome(filter_sends(number, 9, FOR_EVER)).status, 0);
    UNTIL(workers[0].packets + workers[1].packets == 1);
    CHECK_IS(message.overlapped.InternalHigh, 25);
    CHECK(CloseHandle(port));
    join(workers[0].thread);
    join(workers[1].thread);
    CHECK(CloseHandle(file));
}

TEST(the_low_bit_of_the_event_keeps_the_packet_back) {
    uint32_t number = next_number();
    HANDLE file = connect_port(number, 0), port = CreateIoCompletionPort(file, NULL, 1, 0);
    HANDLE event = CreateEvent(NULL, TRUE, FALSE, NULL);
    static struct message message;
    memset(&message, 0, sizeof message);
    message.overlapped.hEvent = (HANDLE)((ULONG_PTR)event | 1);
    post(file, &message);
    CHECK_IS(outcome(filter_sends(number, 9, FOR_EVER)).status, 0);
    CHECK_IS(WaitForSingleObject(event, PATIENCE), WAIT_OBJECT_0);
    CHECK_IS(get(port, 0).error, WAIT_TIMEOUT);
    message.overlapped.hEvent = event;
    post(file, &message);
    CHECK_IS(WaitForSingleObject(event, 0), WAIT_TIMEOUT);
    CHECK_IS(outcome(filter_sends(number, 9, FOR_EVER)).status, 0);
    CHECK(get(port, PATIENCE).success);
    CHECK_IS(WaitForSingleObject(event, 0), WAIT_OBJECT_0);
    CHECK(CloseHandle(file) && CloseHandle(port) && CloseHandle(event));
}

TEST(a_result_is_there_whatever_handle_is_named) {
    uint32_t number = next_number();
    HANDLE file = connect_port(number, 0), port = CreateIoCompletionPort(file, NULL, 1, 0);
    static struct message message;
    DWORD bytes;
    memset(&message, 0, sizeof message);
    post(file, &message);
    CHECK_ERROR(GetOverlappedResult(port, &message.overlapped, &bytes, FALSE), ERROR_IO_INCOMPLETE);
    CHECK_IS(outcome(filter_sends(number, 9, FOR_EVER)).status, 0);
    CHECK(GetOverlappedResult(port, &message.overlapped, &bytes, FALSE));
    CHECK_IS(bytes, 25);
    CHECK(GetOverlappedResult(NULL, &message.overlapped, &bytes, TRUE));
    CHECK(CloseHandle(file) && CloseHandle(port));
}

TEST(an_overlapped_result_is_waited_for_as_long_as_one_likes) {
    uint32_t number = next_number();
    HANDLE file = connect_port(number, 0);
    static struct message message;
    DWORD bytes;
    memset(&message, 0, sizeof message);
    post(file, &message);
    CHECK_ERROR(GetOverlappedResultEx(file, &message.overlapped, &bytes, 0, FALSE), ERROR_IO_INCOMPLETE);
    CHECK_ERROR(GetOverlappedResultEx(file, &message.overlapped, &bytes, 5, FALSE), WAIT_TIMEOUT);
    uint64_t sent = filter_sends(number, 9, FOR_EVER);
    CHECK(GetOverlappedResultEx(file, &message.overlapped, &bytes, PATIENCE, FALSE));
    CHECK_IS(bytes, 25);
    CHECK_IS(outcome(sent).status, 0);
    CHECK(CloseHandle(file));
}

TEST(a_handle_is_signalled_when_a_receive_ends_that_has_no_event) {
    uint32_t number = next_number();
    HANDLE file = connect_port(number, 0);
    static struct message message;
    memset(&message, 0, sizeof message);
    post(file, &message);
    CHECK_IS(WaitForSingleObject(file, 0), WAIT_TIMEOUT);
    uint64_t sent = filter_sends(number, 9, FOR_EVER);
    CHECK_IS(WaitForSingleObject(file, PATIENCE), WAIT_OBJECT_0);
    CHECK_IS(message.overlapped.InternalHigh, 25);
    CHECK_IS(outcome(sent).status, 0);
    CHECK(CloseHandle(file));
}

TEST(a_message_ends_a_wait_for_objects_of_every_kind) {
    uint32_t number = next_number();
    HANDLE file = connect_port(number, 0), other = connect_port(next_number(), 0);
    static struct message messages[2];
    memset(messages, 0, sizeof messages);
    HANDLE handles[5] = {
        CreateEvent(NULL, TRUE, FALSE, NULL), CreateSemaphore(NULL, 0, 1, NULL), CreateEvent(NULL, FALSE, FALSE, NULL),
        CreateEvent(NULL, FALSE, FALSE, NULL), new_port(0),
    };
    messages[0].overlapped.hEvent = handles[2];
    messages[1].overlapped.hEvent = handles[3];
    for (int i = 0; i < 20; i++) {
        post(file, &messages[0]);
        if (i == 0)
            post(other, &messages[1]);
        CHECK_IS(WaitForMultipleObjects(5, handles, FALSE, i % 2), WAIT_TIMEOUT);
        uint64_t sent = filter_sends(number, 9, FOR_EVER);
        CHECK_IS(WaitForMultipleObjects(5, handles, FALSE, PATIENCE), WAIT_OBJECT_0 + 2);
        CHECK_IS(outcome(sent).status, 0);
    }
    CHECK(CloseHandle(other));
    CHECK_IS(WaitForMultipleObjects(5, handles, FALSE, PATIENCE), WAIT_OBJECT_0 + 3);
    CHECK_IS((uint32_t)messages[1].overlapped.Internal, 0xC0000037);
    for (int i = 0; i < 5; i++)
        CHECK(CloseHandle(handles[i]));
    CHECK(CloseHandle(file));
}

static DWORD post_when_told(void *parameter) {
    HANDLE *handles = parameter;
    static struct message message;
    memset(&message, 0, sizeof message);
    message.overlapped.hEvent = handles[1];
    post(handles[0], &message);
    /* until the test ends: a thread that ends takes its receives along */
    CHECK_IS(WaitForSingleObject(handles[2], PATIENCE), WAIT_OBJECT_0);
    return 0;
}

TEST(a_receive_that_is_posted_while_its_event_is_waited_for_is_watched) {
    uint32_t number = next_number();
    HANDLE handles[3] = {connect_port(number, 0), CreateEvent(NULL, FALSE, FALSE, NULL), CreateEvent(NULL, TRUE, FALSE, NULL)};
    HANDLE posts = thread(post_when_told, handles, NULL);
    uint64_t sent = filter_sends(number, 9, FOR_EVER);
    CHECK_IS(WaitForSingleObject(handles[1], PATIENCE), WAIT_OBJECT_0);
    CHECK_IS(outcome(sent).status, 0);
    CHECK(SetEvent(handles[2]));
    join(posts);
    for (int i = 0; i < 3; i++)
        CHECK(CloseHandle(handles[i]));
}

TEST(a_program_may_look_at_its_overlapped_and_sleep_in_turn) {
    uint32_t number = next_number();
    HANDLE file = connect_port(number, 0);
    static struct message message;
    memset(&message, 0, sizeof message);
    post(file, &message);
    uint64_t sent = filter_sends(number, 9, FOR_EVER);
    ULONGLONG end = GetTickCount64() + PATIENCE;
    while (*(volatile ULONG_PTR *)&message.overlapped.Internal == STATUS_PENDING) {
        CHECK(GetTickCount64() < end);
        Sleep(1);
    }
    CHECK_IS(message.overlapped.InternalHigh, 25);
    CHECK_IS(outcome(sent).status, 0);
    CHECK(CloseHandle(file));
}

TEST(bad_overlappeds_are_refused) {
    HANDLE file = connect_port(next_number(), 0);
    struct message message;
    memset(&message, 0, sizeof message);
    CHECK_HR(FilterGetMessage(file, &message.header, MESSAGE_SIZE, (LPOVERLAPPED)8), W(ERROR_NOACCESS));
    message.overlapped.hEvent = (HANDLE)0x40;
    CHECK_HR(FilterGetMessage(file, &message.header, MESSAGE_SIZE, &message.overlapped), W(ERROR_INVALID_HANDLE));
    CHECK_IS(message.overlapped.Internal, 0);
    message.overlapped.hEvent = file;
    CHECK_HR(FilterGetMessage(file, &message.header, MESSAGE_SIZE, &message.overlapped), W(ERROR_INVALID_HANDLE));
    message.overlapped.hEvent = NULL;
    CHECK_HR(FilterGetMessage(file, (PFILTER_MESSAGE_HEADER)8, MESSAGE_SIZE, &message.overlapped), W(ERROR_NOACCESS));
    CHECK_ERROR(CancelIoEx(file, NULL), ERROR_NOT_FOUND);
    CHECK(CloseHandle(file));
}

struct scanner {
    HANDLE file, port;
    LONG handled;
};

static DWORD scan(void *parameter) {
    struct scanner *scanner = parameter;
    for (;;) {
        struct got got = get(scanner->port, INFINITE);
        if (!got.success)
            return got.error;
        struct message *message = CONTAINING_RECORD(got.overlapped, struct message, overlapped);
        CHECK_HR(reply_with(scanner->file, message->header.MessageId, 0, 4), S_OK);
        InterlockedIncrement(&scanner->handled);
        post(scanner->file, message);
    }
}

TEST(row_079_more_receives_than_slots_and_many_threads_lose_nothing) {
    enum { THREADS = 6, POSTED = 100, MESSAGES = 2000 };
    uint32_t number = next_number();
    struct scanner scanner = {.file = connect_port(number, 0)};
    scanner.port = CreateIoCompletionPort(scanner.file, NULL, 1, 2);
    static struct message messages[POSTED];
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < POSTED; i++)
        post(scanner.file, &messages[i]);
    HANDLE threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        threads[i] = thread(scan, &scanner, NULL);
    static uint64_t asked[8];
    for (int i = 0; i < MESSAGES; i++) {
        if (asked[i % 8] != 0)
            CHECK_IS(outcome(asked[i % 8]).status, 0);
        asked[i % 8] = filter_asks(number, 100, 4, FOR_EVER);
    }
    for (int i = 0; i < 8; i++)
        CHECK_IS(outcome(asked[i]).status, 0);
    CHECK_IS(scanner.handled, MESSAGES);
    CHECK(CloseHandle(scanner.file));
    for (int i = 0; i < THREADS; i++)
        CHECK_IS(join(threads[i]), ERROR_INVALID_HANDLE);
    CHECK(CloseHandle(scanner.port));
}
