/* Rows 1 to 26: ports and connects. */
#include "drive.h"

TEST(row_001_a_port_that_does_not_exist_is_not_found) {
    HANDLE port = NULL;
    CHECK_HR(FilterConnectCommunicationPort(L"\\NoSuchPort", 0, NULL, 0, NULL, &port), W(ERROR_FILE_NOT_FOUND));
    CHECK(port == INVALID_HANDLE_VALUE);
}

TEST(row_039_a_message_comes) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0);
    struct message message;
    uint64_t asked = filter_asks(number, 100, 16, FOR_EVER);
    CHECK_HR(FilterGetMessage(port, &message.header, MESSAGE_SIZE, NULL), S_OK);
    CHECK_IS(message.header.ReplyLength, 32);
    CHECK_IS(message.header.MessageId, 1);
    check_message(&message, 100);
    CHECK_HR(reply_with(port, 1, 5, 9), S_OK);
    struct told told = outcome(asked);
    CHECK_IS(told.status, 5);
    CHECK_IS(told.length, 9);
    CHECK(CloseHandle(port));
    CHECK_IS(disconnects(number), 1);
}

TEST(row_079_iocp) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0);
    HANDLE completion = CreateIoCompletionPort(port, NULL, 77, 2);
    CHECK(completion != NULL);
    struct message messages[4];
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < 4; i++)
        CHECK_HR(FilterGetMessage(port, &messages[i].header, MESSAGE_SIZE, &messages[i].overlapped), W(ERROR_IO_PENDING));
    for (int i = 0; i < 10; i++) {
        uint64_t asked = filter_asks(number, 100 + i, 16, FOR_EVER);
        DWORD bytes;
        ULONG_PTR key;
        LPOVERLAPPED overlapped;
        CHECK(GetQueuedCompletionStatus(completion, &bytes, &key, &overlapped, PATIENCE));
        CHECK_IS(key, 77);
        CHECK_IS(bytes, 16 + 100 + i);
        struct message *message = CONTAINING_RECORD(overlapped, struct message, overlapped);
        CHECK_IS(overlapped->InternalHigh, bytes);
        CHECK_HR(reply_with(port, message->header.MessageId, 0, 1), S_OK);
        CHECK_IS(outcome(asked).status, 0);
        CHECK_HR(FilterGetMessage(port, &message->header, MESSAGE_SIZE, overlapped), W(ERROR_IO_PENDING));
    }
    CHECK(CloseHandle(port));
    for (int i = 0; i < 4; i++) {
        DWORD bytes;
        ULONG_PTR key;
        LPOVERLAPPED overlapped;
        CHECK_ERROR(GetQueuedCompletionStatus(completion, &bytes, &key, &overlapped, PATIENCE), ERROR_INVALID_HANDLE);
        CHECK(overlapped != NULL);
    }
    CHECK(CloseHandle(completion));
}
