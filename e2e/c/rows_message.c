/* Rows 37 to 82: messages of the filter's, and replies. */
#include "drive.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static DWORD get_one(void *port) {
    struct message message;
    return (DWORD)FilterGetMessage(port, &message.header, MESSAGE_SIZE, NULL);
}

/* Receives a message, which must come. */
static struct message receive(HANDLE port) {
    struct message message;
    memset(&message, 0xEE, sizeof message);
    CHECK_HR(FilterGetMessage(port, &message.header, MESSAGE_SIZE, NULL), S_OK);
    return message;
}

/* Posts an overlapped receive. */
static void post(HANDLE port, struct message *message, DWORD size) {
    CHECK_HR(FilterGetMessage(port, &message->header, size, &message->overlapped), W(ERROR_IO_PENDING));
}

TEST(row_037_closing_the_handle_ends_a_blocked_receive_and_returns_after_the_callback) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0);
    DWORD id;
    HANDLE receives = thread(get_one, port, &id);
    UNTIL(is_asleep(id));
    CHECK(CloseHandle(port));
    CHECK_IS(disconnects(number), 1);
    CHECK_HR(join(receives), W(ERROR_INVALID_HANDLE));
}

static DWORD send_hold(void *port) {
    struct request request = {HOLD, 0, 0, 0};
    DWORD returned;
    return (DWORD)FilterSendMessage(port, &request, sizeof request, NULL, 0, &returned);
}

static DWORD close_it(void *handle) {
    return (DWORD)CloseHandle(handle);
}

TEST(row_038_closing_the_handle_waits_for_a_message_callback) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0);
    HANDLE sends = thread(send_hold, port, NULL);
    UNTIL(callbacks(number) == 1);
    DWORD id;
    HANDLE closes = thread(close_it, port, &id);
    UNTIL(is_asleep(id));
    CHECK_IS(disconnects(number), 0);
    release(number);
    CHECK_IS(join(closes), TRUE);
    CHECK_IS(disconnects(number), 1);
    CHECK_HR(join(sends), W(ERROR_INVALID_HANDLE));
}

TEST(row_039_040_a_client_that_the_filter_closes_fails_from_then_on_and_is_closed_once) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0);
    DWORD id, returned;
    HANDLE receives = thread(get_one, port, &id);
    UNTIL(is_asleep(id));
    tell((struct command){.op = CLOSE, .connection = number});
    CHECK_HR(join(receives), W(ERROR_INVALID_HANDLE));
    struct message message;
    CHECK_HR(FilterGetMessage(port, &message.header, MESSAGE_SIZE, NULL), W(ERROR_INVALID_HANDLE));
    CHECK_HR(FilterSendMessage(port, &message, 1, NULL, 0, &returned), W(ERROR_INVALID_HANDLE));
    CHECK_IS(disconnects(number), 0);
    CHECK(CloseHandle(port));
    CHECK_IS(disconnects(number), 1);
    CHECK_ERROR(CloseHandle(port), ERROR_INVALID_HANDLE);
    CHECK_IS(disconnects(number), 1);
}

TEST(row_041_043_044_the_end_of_the_connection_ends_a_send_without_a_timeout) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0);
    uint64_t asked = filter_asks(number, 10, 4, FOR_EVER), sent = filter_sends(number, 10, FOR_EVER);
    CHECK(is_pending(asked) && is_pending(sent));
    tell((struct command){.op = CLOSE, .connection = number});
    tell((struct command){.op = CLOSE, .connection = number});
    CHECK_IS(outcome(asked).status, 0xC0000037);
    CHECK_IS(outcome(sent).status, 0xC0000037);
    CHECK_IS(outcome(filter_sends(number, 1, FOR_EVER)).status, 0xC0000037);
    CHECK(CloseHandle(port));
}

TEST(row_034_closing_the_handle_ends_senders_that_wait_for_a_receive_or_a_reply) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0);
    uint64_t delivered = filter_asks(number, 10, 4, FOR_EVER);
    CHECK_IS(receive(port).header.MessageId, 1);
    uint64_t waiting = filter_asks(number, 10, 4, FOR_EVER);
    CHECK(is_pending(delivered) && is_pending(waiting));
    CHECK(CloseHandle(port));
    CHECK_IS(outcome(delivered).status, 0xC0000037);
    CHECK_IS(outcome(waiting).status, 0xC0000037);
}

TEST(row_045_049_a_message_without_reply_is_sent_when_it_is_copied) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0);
    struct message message;
    memset(&message, 0, sizeof message);
    post(port, &message, MESSAGE_SIZE);
    CHECK_IS(outcome(filter_sends(number, 20, 0)).status, 0);
    DWORD bytes;
    CHECK(GetOverlappedResult(port, &message.overlapped, &bytes, TRUE));
    CHECK_IS(bytes, 36);
    CHECK_IS(message.header.ReplyLength, 0);
    CHECK_IS(message.header.MessageId, 0);
    check_message(&message, 20);
    CHECK(CloseHandle(port));
}

TEST(row_046_050_a_message_that_no_receive_takes_in_time_is_never_seen) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0);
    CHECK_IS(outcome(filter_sends(number, 20, 1)).status, 0x102);
    CHECK_IS(outcome(filter_asks(number, 20, 1, 0)).status, 0x102);
    struct message message;
    memset(&message, 0, sizeof message);
    post(port, &message, MESSAGE_SIZE);
    CHECK_IS(outcome(filter_sends(number, 3, FOR_EVER)).status, 0);
    DWORD bytes;
    CHECK(GetOverlappedResult(port, &message.overlapped, &bytes, TRUE));
    CHECK_IS(bytes, 19);
    CHECK(CloseHandle(port));
}

TEST(row_047_051_a_late_reply_finds_no_waiter) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0);
    uint64_t asked = filter_asks(number, 5, 8, 30);
    struct message message;
    memset(&message, 0, sizeof message);
    post(port, &message, MESSAGE_SIZE);
    struct told told = outcome(asked);
    CHECK_IS(told.status, 0x102);
    CHECK_IS(told.length, 0);
    DWORD bytes;
    if (GetOverlappedResult(port, &message.overlapped, &bytes, FALSE))
        CHECK_HR(reply_with(port, message.header.MessageId, 0, 4), ERROR_FLT_NO_WAITER_FOR_REPLY);
    CHECK(CloseHandle(port));
}

TEST(row_054_056_a_reply_fills_the_filters_buffer_as_far_as_it_goes) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0);
    for (size_t length = 0; length <= 16; length += 4) {
        uint64_t asked = filter_asks(number, 5, 16, FOR_EVER);
        struct message message = receive(port);
        CHECK_IS(message.header.ReplyLength, 32);
        CHECK_HR(reply_with(port, message.header.MessageId, 0, length), S_OK);
        struct told told = outcome(asked);
        CHECK_IS(told.status, 0);
        CHECK_IS(told.length, length);
        for (size_t at = 0; at < 16; at++)
            CHECK_IS(told.bytes[at], at < length ? pattern(at) : 0xEE);
    }
    CHECK(CloseHandle(port));
}

TEST(row_055_a_reply_that_is_too_long_is_cut_and_both_ends_know) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0);
    uint64_t asked = filter_asks(number, 5, 4, FOR_EVER);
    CHECK_HR(reply_with(port, receive(port).header.MessageId, 0, 5), W(ERROR_MORE_DATA));
    struct told told = outcome(asked);
    CHECK_IS(told.status, 0x80000005);
    CHECK_IS(told.length, 4);
    CHECK(CloseHandle(port));
}

TEST(row_057_a_reply_without_a_whole_header_is_refused_and_leaves_the_waiter) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0);
    uint64_t asked = filter_asks(number, 5, 4, FOR_EVER);
    struct reply reply = {.header = {0, receive(port).header.MessageId}};
    for (DWORD size = 0; size < 16; size++)
        CHECK_HR(FilterReplyMessage(port, &reply.header, size), E_INVALIDARG);
    CHECK_HR(FilterReplyMessage(port, NULL, 16), E_INVALIDARG);
    CHECK_HR(FilterReplyMessage(port, &reply.header, 16), S_OK);
    CHECK_IS(outcome(asked).status, 0);
    CHECK(CloseHandle(port));
}

TEST(row_058_the_replys_status_is_what_the_send_returns) {
    static const uint32_t statuses[] = {0xC0000022, 0x102, 0x80000005, 0x12345678, 0xC01C0013};
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0);
    for (size_t at = 0; at < ARRAYSIZE(statuses); at++) {
        uint64_t asked = filter_asks(number, 5, 4, FOR_EVER);
        CHECK_HR(reply_with(port, receive(port).header.MessageId, (NTSTATUS)statuses[at], 3), S_OK);
        struct told told = outcome(asked);
        CHECK_IS(told.status, statuses[at]);
        CHECK_IS(told.length, 3);
        CHECK_IS(told.bytes[2], pattern(2));
    }
    CHECK(CloseHandle(port));
}

TEST(row_059_060_061_062_a_reply_finds_its_message_once_and_on_its_own_connection) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0), other = connect_port(next_number(), 0);
    CHECK_HR(reply_with(port, 0, 0, 0), ERROR_FLT_NO_WAITER_FOR_REPLY);
    CHECK_HR(reply_with(port, 1, 0, 0), ERROR_FLT_NO_WAITER_FOR_REPLY);
    uint64_t asked = filter_asks(number, 5, 4, FOR_EVER);
    CHECK_IS(receive(port).header.MessageId, 1);
    CHECK_HR(reply_with(other, 1, 0, 0), ERROR_FLT_NO_WAITER_FOR_REPLY);
    CHECK_HR(reply_with(port, 2, 0, 0), ERROR_FLT_NO_WAITER_FOR_REPLY);
    CHECK_HR(reply_with(port, 1ULL << 32 | 1, 0, 0), ERROR_FLT_NO_WAITER_FOR_REPLY);
    CHECK_HR(reply_with(port, 1, 0, 0), S_OK);
    CHECK_HR(reply_with(port, 1, 0, 0), ERROR_FLT_NO_WAITER_FOR_REPLY);
    CHECK_IS(outcome(asked).status, 0);
    CHECK(CloseHandle(port));
    CHECK(CloseHandle(other));
}

static DWORD reply_to_one(void *port) {
    return (DWORD)reply_with(port, 1, 0, 4);
}

TEST(row_063_any_thread_and_any_handle_may_reply) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0), duplicate;
    CHECK(DuplicateHandle(GetCurrentProcess(), port, GetCurrentProcess(), &duplicate, 0, FALSE, DUPLICATE_SAME_ACCESS));
    CHECK(duplicate != port);
    uint64_t asked = filter_asks(number, 5, 4, FOR_EVER);
    CHECK_IS(receive(port).header.MessageId, 1);
    CHECK(CloseHandle(port));
    CHECK_IS(disconnects(number), 0);
    CHECK_HR(join(thread(reply_to_one, duplicate, NULL)), S_OK);
    CHECK_IS(outcome(asked).length, 4);
    CHECK(CloseHandle(duplicate));
    CHECK_IS(disconnects(number), 1);
}

TEST(row_064_a_reply_lies_at_a_multiple_of_four) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0);
    uint64_t asked = filter_asks(number, 5, 4, FOR_EVER);
    FILTER_REPLY_HEADER header = {7, receive(port).header.MessageId};
    char bytes[24] __attribute__((aligned(8)));
    for (int at = 1; at < 4; at++) {
        memcpy(bytes + at, &header, sizeof header);
        CHECK_HR(FilterReplyMessage(port, (PFILTER_REPLY_HEADER)(void *)(bytes + at), 16), W(ERROR_NOACCESS));
    }
    memcpy(bytes + 4, &header, sizeof header);
    CHECK_HR(FilterReplyMessage(port, (PFILTER_REPLY_HEADER)(void *)(bytes + 4), 16), S_OK);
    CHECK_IS(outcome(asked).status, 7);
    CHECK(CloseHandle(port));
}

TEST(row_065_a_reply_buffer_of_no_bytes_still_wants_a_reply) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0);
    uint64_t asked = filter_asks(number, 5, 0, FOR_EVER);
    struct message message = receive(port);
    CHECK_IS(message.header.ReplyLength, 16);
    CHECK_HR(reply_with(port, message.header.MessageId, 0, 1), W(ERROR_MORE_DATA));
    CHECK_IS(outcome(asked).status, 0x80000005);
    CHECK(CloseHandle(port));
}

TEST(row_067_a_message_may_be_empty) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0);
    uint64_t asked = filter_asks(number, 0, 4, FOR_EVER);
    FILTER_MESSAGE_HEADER header;
    CHECK_HR(FilterGetMessage(port, &header, sizeof header, NULL), S_OK);
    CHECK_HR(reply_with(port, header.MessageId, 0, 0), S_OK);
    CHECK_IS(outcome(asked).status, 0);
    CHECK(CloseHandle(port));
}

TEST(row_069_070_a_receive_that_is_too_small_learns_the_size_and_one_of_that_size_gets_the_message) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0);
    struct message message;
    memset(&message, 0xEE, sizeof message);
    message.overlapped.hEvent = NULL;
    post(port, &message, 16 + 49);
    uint64_t asked = filter_asks(number, 50, 8, FOR_EVER);
    DWORD bytes = 0;
    CHECK_ERROR(GetOverlappedResult(port, &message.overlapped, &bytes, TRUE), ERROR_INSUFFICIENT_BUFFER);
    CHECK_IS(bytes, 66);
    CHECK_IS(message.overlapped.InternalHigh, 66);
    CHECK_IS(message.header.MessageId, 1);
    CHECK_IS(message.header.ReplyLength, 24);
    CHECK_IS(message.body[0], 0xEE);
    CHECK(is_pending(asked));
    post(port, &message, 66);
    CHECK(GetOverlappedResult(port, &message.overlapped, &bytes, TRUE));
    CHECK_IS(bytes, 66);
    check_message(&message, 50);
    CHECK_IS(message.body[50], 0xEE);
    CHECK_HR(reply_with(port, message.header.MessageId, 0, 8), S_OK);
    CHECK_IS(outcome(asked).status, 0);
    CHECK(CloseHandle(port));
}

TEST(row_069_a_message_may_be_answered_unread) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0);
    uint64_t asked = filter_asks(number, 50, 8, FOR_EVER);
    struct message message;
    CHECK_HR(FilterGetMessage(port, &message.header, 20, NULL), W(ERROR_INSUFFICIENT_BUFFER));
    CHECK_HR(reply_with(port, message.header.MessageId, 9, 2), S_OK);
    CHECK_IS(outcome(asked).status, 9);
    CHECK(CloseHandle(port));
}

TEST(row_071_a_small_receive_is_left_alone_while_a_larger_one_fits) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0);
    static struct message small, large;
    memset(&small, 0, sizeof small);
    memset(&large, 0, sizeof large);
    small.overlapped.hEvent = CreateEvent(NULL, TRUE, FALSE, NULL);
    large.overlapped.hEvent = CreateEvent(NULL, TRUE, FALSE, NULL);
    post(port, &small, 20);
    post(port, &large, 200);
    CHECK_IS(outcome(filter_sends(number, 100, FOR_EVER)).status, 0);
    CHECK_IS(WaitForSingleObject(large.overlapped.hEvent, PATIENCE), WAIT_OBJECT_0);
    CHECK_IS(large.overlapped.InternalHigh, 116);
    CHECK(!HasOverlappedIoCompleted(&small.overlapped));
    CHECK_IS(outcome(filter_sends(number, 4, FOR_EVER)).status, 0);
    CHECK_IS(WaitForSingleObject(small.overlapped.hEvent, PATIENCE), WAIT_OBJECT_0);
    CHECK_IS(small.overlapped.InternalHigh, 20);
    CHECK(CloseHandle(port));
    CHECK(CloseHandle(small.overlapped.hEvent) && CloseHandle(large.overlapped.hEvent));
}

TEST(row_072_the_smallest_receive_is_accepted_and_fails_when_a_message_comes) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0);
    struct message message;
    for (uint64_t length = 0; length < 2; length++) {
        for (DWORD size = 1; size < 16; size += 7) {
            uint64_t asked = filter_asks(number, length, 4, FOR_EVER);
            memset(&message, 0xEE, sizeof message);
            CHECK_HR(FilterGetMessage(port, &message.header, size, NULL), W(ERROR_INSUFFICIENT_BUFFER));
            CHECK_IS(message.header.ReplyLength, 0xEEEEEEEE);
            CHECK_HR(reply_with(port, receive(port).header.MessageId, 0, 0), S_OK);
            CHECK_IS(outcome(asked).status, 0);
        }
    }
    CHECK(CloseHandle(port));
}

TEST(row_073_a_receive_has_a_buffer) {
    HANDLE port = connect_port(next_number(), 0);
    struct message message;
    OVERLAPPED overlapped = {0};
    CHECK_HR(FilterGetMessage(port, NULL, 100, NULL), E_INVALIDARG);
    CHECK_HR(FilterGetMessage(port, &message.header, 0, NULL), E_INVALIDARG);
    CHECK_HR(FilterGetMessage(port, NULL, 0, &overlapped), E_INVALIDARG);
    CHECK_IS(overlapped.Internal, 0);
    CHECK(CloseHandle(port));
}

TEST(row_074_a_receive_that_is_larger_has_the_message_only) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0);
    uint64_t sent = filter_sends(number, 10, FOR_EVER);
    struct message message = receive(port);
    check_message(&message, 10);
    CHECK_IS(message.body[10], 0xEE);
    CHECK_IS(outcome(sent).status, 0);
    CHECK(CloseHandle(port));
}

TEST(row_075_a_buffer_that_goes_away_leaves_the_message_to_the_next_receive) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *buffer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(buffer != MAP_FAILED);
    OVERLAPPED overlapped = {0};
    CHECK_HR(FilterGetMessage(port, (void *)buffer, (DWORD)page, &overlapped), W(ERROR_IO_PENDING));
    CHECK(munmap(buffer, page) == 0);
    uint64_t asked = filter_asks(number, 30, 4, FOR_EVER);
    DWORD bytes;
    CHECK_ERROR(GetOverlappedResult(port, &overlapped, &bytes, TRUE), ERROR_NOACCESS);
    CHECK(is_pending(asked));
    struct message message = receive(port);
    check_message(&message, 30);
    CHECK_HR(reply_with(port, message.header.MessageId, 0, 4), S_OK);
    CHECK_IS(outcome(asked).length, 4);
    CHECK(CloseHandle(port));
}

TEST(row_075_the_next_receive_may_be_overlapped_and_too_small) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *buffer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(buffer != MAP_FAILED);
    OVERLAPPED overlapped = {0};
    CHECK_HR(FilterGetMessage(port, (void *)buffer, (DWORD)page, &overlapped), W(ERROR_IO_PENDING));
    CHECK(mprotect(buffer, page, PROT_READ) == 0);
    uint64_t asked = filter_asks(number, 30, 4, FOR_EVER);
    DWORD bytes;
    CHECK_ERROR(GetOverlappedResult(port, &overlapped, &bytes, TRUE), ERROR_NOACCESS);
    struct message message;
    memset(&message, 0, sizeof message);
    post(port, &message, 45);
    CHECK_ERROR(GetOverlappedResult(port, &message.overlapped, &bytes, TRUE), ERROR_INSUFFICIENT_BUFFER);
    CHECK_IS(bytes, 46);
    post(port, &message, 46);
    CHECK(GetOverlappedResult(port, &message.overlapped, &bytes, TRUE));
    CHECK_HR(reply_with(port, message.header.MessageId, 0, 4), S_OK);
    CHECK_IS(outcome(asked).length, 4);
    CHECK(munmap(buffer, page) == 0);
    CHECK(CloseHandle(port));
}

TEST(row_076_an_overlapped_receive_is_pending_though_a_sender_waits) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0);
    for (int i = 0; i < 50; i++) {
        uint64_t sent = filter_sends(number, 8, FOR_EVER);
        struct message message;
        memset(&message, 0, sizeof message);
        message.overlapped.hEvent = CreateEvent(NULL, FALSE, TRUE, NULL);
        post(port, &message, MESSAGE_SIZE);
        CHECK_IS(WaitForSingleObject(message.overlapped.hEvent, PATIENCE), WAIT_OBJECT_0);
        CHECK_IS(message.overlapped.Internal, 0);
        CHECK_IS(message.overlapped.InternalHigh, 24);
        CHECK_IS(outcome(sent).status, 0);
        CHECK(CloseHandle(message.overlapped.hEvent));
    }
    CHECK(CloseHandle(port));
}

TEST(row_077_an_overlapped_receive_on_a_dead_port_fails_at_once_and_completes_nothing) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0);
    HANDLE completion = CreateIoCompletionPort(port, NULL, 1, 0);
    CHECK(completion != NULL);
    tell((struct command){.op = CLOSE, .connection = number});
    struct message message;
    memset(&message, 0, sizeof message);
    message.overlapped.hEvent = CreateEvent(NULL, TRUE, FALSE, NULL);
    UNTIL((uint32_t)FilterGetMessage(port, &message.header, MESSAGE_SIZE, &message.overlapped) ==
          (uint32_t)W(ERROR_INVALID_HANDLE));
    CHECK_IS(WaitForSingleObject(message.overlapped.hEvent, 0), WAIT_TIMEOUT);
    DWORD bytes;
    ULONG_PTR key;
    LPOVERLAPPED overlapped;
    CHECK_ERROR(GetQueuedCompletionStatus(completion, &bytes, &key, &overlapped, 0), WAIT_TIMEOUT);
    CHECK(overlapped == NULL);
    CHECK(CloseHandle(port) && CloseHandle(completion) && CloseHandle(message.overlapped.hEvent));
}

TEST(row_078_cancelling_ends_every_receive_of_every_kind_and_leaves_the_port_usable) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0);
    static struct message messages[3];
    memset(messages, 0, sizeof messages);
    DWORD id, bytes;
    HANDLE blocked = thread(get_one, port, &id);
    UNTIL(is_asleep(id));
    for (int i = 0; i < 3; i++)
        post(port, &messages[i], MESSAGE_SIZE);
    CHECK(CancelIoEx(port, NULL));
    CHECK_HR(join(blocked), W(ERROR_OPERATION_ABORTED));
    for (int i = 0; i < 3; i++) {
        CHECK_ERROR(GetOverlappedResult(port, &messages[i].overlapped, &bytes, TRUE), ERROR_OPERATION_ABORTED);
        CHECK_IS((uint32_t)messages[i].overlapped.Internal, 0xC0000120);
    }
    CHECK_ERROR(CancelIoEx(port, NULL), ERROR_NOT_FOUND);
    uint64_t sent = filter_sends(number, 4, FOR_EVER);
    check_message(&(struct message){0}, 0);
    struct message message = receive(port);
    check_message(&message, 4);
    CHECK_IS(outcome(sent).status, 0);
    CHECK(CloseHandle(port));
}

TEST(row_078_one_receive_is_cancelled_and_the_others_stay) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0);
    static struct message messages[3];
    memset(messages, 0, sizeof messages);
    DWORD bytes;
    for (int i = 0; i < 3; i++) {
        messages[i].overlapped.hEvent = CreateEvent(NULL, TRUE, FALSE, NULL);
        post(port, &messages[i], MESSAGE_SIZE);
    }
    CHECK(CancelIoEx(port, &messages[1].overlapped));
    CHECK_ERROR(GetOverlappedResult(port, &messages[1].overlapped, &bytes, TRUE), ERROR_OPERATION_ABORTED);
    OVERLAPPED other = {0};
    CHECK_ERROR(CancelIoEx(port, &other), ERROR_NOT_FOUND);
    CHECK_ERROR(CancelIoEx(port, &messages[1].overlapped), ERROR_NOT_FOUND);
    CHECK(!HasOverlappedIoCompleted(&messages[0].overlapped) && !HasOverlappedIoCompleted(&messages[2].overlapped));
    CHECK_IS(outcome(filter_sends(number, 1, FOR_EVER)).status, 0);
    CHECK_IS(outcome(filter_sends(number, 2, FOR_EVER)).status, 0);
    CHECK(GetOverlappedResult(port, &messages[0].overlapped, &bytes, TRUE));
    CHECK_IS(bytes, 17);
    CHECK(GetOverlappedResult(port, &messages[2].overlapped, &bytes, TRUE));
    CHECK_IS(bytes, 18);
    CHECK(CloseHandle(port));
    for (int i = 0; i < 3; i++)
        CHECK(CloseHandle(messages[i].overlapped.hEvent));
}

static struct {
    HANDLE port;
    struct message *message;
} posted_by;

static DWORD post_one(void *parameter) {
    (void)parameter;
    post(posted_by.port, posted_by.message, MESSAGE_SIZE);
    return 0;
}

TEST(row_078_a_thread_cancels_its_own_receives) {
    HANDLE port = connect_port(next_number(), 0), completion = CreateIoCompletionPort(port, NULL, 0, 0);
    static struct message mine, theirs;
    memset(&mine, 0, sizeof mine);
    memset(&theirs, 0, sizeof theirs);
    posted_by.port = port;
    posted_by.message = &theirs;
    join(thread(post_one, NULL, NULL));
    post(port, &mine, MESSAGE_SIZE);
    CHECK(CancelIo(port));
    DWORD bytes;
    CHECK_ERROR(GetOverlappedResult(port, &mine.overlapped, &bytes, TRUE), ERROR_OPERATION_ABORTED);
    CHECK(!HasOverlappedIoCompleted(&theirs.overlapped));
    CHECK(CancelIo(port));
    CHECK(CloseHandle(port) && CloseHandle(completion));
}

TEST(receives_of_a_thread_that_ends_are_cancelled_unless_they_go_to_a_completion_port) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0);
    static struct message message;
    DWORD bytes;
    memset(&message, 0, sizeof message);
    message.overlapped.hEvent = CreateEvent(NULL, TRUE, FALSE, NULL);
    posted_by.port = port;
    posted_by.message = &message;
    join(thread(post_one, NULL, NULL));
    CHECK_IS(WaitForSingleObject(message.overlapped.hEvent, PATIENCE), WAIT_OBJECT_0);
    CHECK_ERROR(GetOverlappedResult(port, &message.overlapped, &bytes, FALSE), ERROR_OPERATION_ABORTED);
    HANDLE completion = CreateIoCompletionPort(port, NULL, 0, 0);
    CHECK(completion != NULL);
    join(thread(post_one, NULL, NULL));
    CHECK_IS(outcome(filter_sends(number, 5, FOR_EVER)).status, 0);
    CHECK(GetOverlappedResult(port, &message.overlapped, &bytes, TRUE));
    CHECK_IS(bytes, 21);
    CHECK(CloseHandle(port) && CloseHandle(completion) && CloseHandle(message.overlapped.hEvent));
}

static DWORD receive_and_reply(void *port) {
    struct message message = receive(port);
    CHECK_HR(reply_with(port, message.header.MessageId, (NTSTATUS)message.header.MessageId, 4), S_OK);
    return (DWORD)message.header.MessageId;
}

TEST(row_080_threads_that_receive_on_one_handle_get_a_message_each) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0), threads[8];
    for (int i = 0; i < 8; i++)
        threads[i] = thread(receive_and_reply, port, NULL);
    DWORD seen = 0;
    for (int i = 0; i < 8; i++)
        CHECK_IS(outcome(filter_asks(number, 100, 4, FOR_EVER)).status, i + 1);
    for (int i = 0; i < 8; i++)
        seen |= 1U << join(threads[i]);
    CHECK_IS(seen, 0x1FE);
    CHECK(CloseHandle(port));
}

static HANDLE connect_synchronous(uint32_t number) {
    struct context context = {TESTED, number, 0, 0};
    HANDLE port;
    CHECK_HR(FilterConnectCommunicationPort(PORT, FLT_PORT_FLAG_SYNC_HANDLE, &context, sizeof context, NULL, &port), S_OK);
    return port;
}

TEST(row_081_on_a_synchronous_handle_a_blocked_receive_holds_up_no_reply_and_no_request) {
    uint32_t number = next_number();
    HANDLE port = connect_synchronous(number);
    uint64_t asked = filter_asks(number, 5, 4, FOR_EVER);
    struct message message = receive(port);
    DWORD id, returned;
    HANDLE blocked = thread(get_one, port, &id);
    UNTIL(is_asleep(id));
    CHECK_HR(reply_with(port, message.header.MessageId, 0, 4), S_OK);
    CHECK_IS(outcome(asked).status, 0);
    struct request request = {0};
    CHECK_HR(FilterSendMessage(port, &request, sizeof request, NULL, 0, &returned), S_OK);
    CHECK(CancelIoEx(port, NULL));
    CHECK_HR(join(blocked), W(ERROR_OPERATION_ABORTED));
    CHECK(CloseHandle(port));
}

TEST(row_082_on_a_synchronous_handle_an_overlapped_receive_blocks_and_succeeds) {
    uint32_t number = next_number();
    HANDLE port = connect_synchronous(number);
    struct message message;
    memset(&message, 0, sizeof message);
    message.overlapped.hEvent = CreateEvent(NULL, TRUE, FALSE, NULL);
    uint64_t sent = filter_sends(number, 30, FOR_EVER);
    CHECK_HR(FilterGetMessage(port, &message.header, MESSAGE_SIZE, &message.overlapped), S_OK);
    check_message(&message, 30);
    CHECK_IS(message.overlapped.Internal, 0);
    CHECK_IS(message.overlapped.InternalHigh, 46);
    CHECK_IS(WaitForSingleObject(message.overlapped.hEvent, 0), WAIT_OBJECT_0);
    CHECK_IS(outcome(sent).status, 0);
    sent = filter_sends(number, 30, FOR_EVER);
    CHECK_HR(FilterGetMessage(port, &message.header, 20, &message.overlapped), W(ERROR_INSUFFICIENT_BUFFER));
    CHECK_IS(message.overlapped.InternalHigh, 46);
    CHECK_ERROR(CreateIoCompletionPort(port, NULL, 0, 0), ERROR_INVALID_PARAMETER);
    CHECK(CloseHandle(port) && CloseHandle(message.overlapped.hEvent));
}

TEST(row_102_ids_begin_again_with_each_connection) {
    for (int i = 0; i < 2; i++) {
        uint32_t number = next_number();
        HANDLE port = connect_port(number, 0);
        for (ULONGLONG id = 1; id <= 3; id++) {
            uint64_t asked = filter_asks(number, 5, 4, FOR_EVER);
            CHECK_IS(receive(port).header.MessageId, id);
            CHECK_HR(reply_with(port, id, 0, 0), S_OK);
            CHECK_IS(outcome(asked).status, 0);
            uint64_t sent = filter_sends(number, 5, FOR_EVER);
            CHECK_IS(receive(port).header.MessageId, 0);
            CHECK_IS(outcome(sent).status, 0);
        }
        CHECK(CloseHandle(port));
    }
}

TEST(a_message_of_a_megabyte_comes_through) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0);
    const size_t length = 1 << 20;
    FILTER_MESSAGE_HEADER *message = HeapAlloc(GetProcessHeap(), HEAP_ZERO_MEMORY, sizeof *message + length);
    uint64_t asked = filter_asks(number, length, 4, FOR_EVER);
    CHECK_HR(FilterGetMessage(port, message, (DWORD)(16 + length), NULL), S_OK);
    const uint8_t *body = (const uint8_t *)(message + 1);
    for (size_t at = 0; at < length; at++)
        CHECK_IS(body[at], pattern(at));
    CHECK_HR(reply_with(port, message->MessageId, 0, 4), S_OK);
    CHECK_IS(outcome(asked).status, 0);
    HeapFree(GetProcessHeap(), 0, message);
    CHECK(CloseHandle(port));
}
