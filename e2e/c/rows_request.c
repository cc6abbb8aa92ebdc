/* Rows 83 to 100: requests of the application's. */
#include "drive.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

TEST(row_083_a_filter_without_a_message_callback_rejects_requests) {
    HANDLE port;
    DWORD returned = 1;
    CHECK_IS(create_port("\\Row83", 1, NO_CALLBACK), 0);
    CHECK_HR(try_connect(L"\\Row83", (struct context){0}, &port), S_OK);
    CHECK_HR(FilterSendMessage(port, &returned, 4, NULL, 0, &returned), W(ERROR_INVALID_FUNCTION));
    CHECK(CloseHandle(port));
    close_port("\\Row83");
}

TEST(row_084_a_request_without_input_is_refused_before_the_callback) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0);
    DWORD returned = 1;
    CHECK_HR(FilterSendMessage(port, NULL, 4, NULL, 0, &returned), E_INVALIDARG);
    CHECK_IS(returned, 0);
    CHECK_HR(FilterSendMessage(port, &number, 0, NULL, 0, &returned), E_INVALIDARG);
    CHECK(CloseHandle(port));
}

TEST(row_085_to_092_the_callbacks_answer_is_what_the_client_gets) {
    static const struct {
        uint32_t status, returned, written, hresult, told;
    } answers[] = {
        {0, 8, 8, 0, 8},                               /* success */
        {0, 0, 0, 0, 0},                               /* 89: it says nothing */
        {0, 1000, 16, 0, 1000},                        /* 88: more than there is room for */
        {0xC0000001, 8, 8, 0x8007001F, 0},             /* 85: a failure */
        {0xC0000023, 99, 0, 0x8007007A, 99},           /* 86: too small, and how large */
        {0x8000001A, 8, 8, 0x80070103, 8},             /* 87: a warning */
        {0x80000005, 16, 16, 0x800700EA, 16},          /* another */
        {0x00000102, 8, 8, 0x80070102, 8},             /* 90: a success that is none */
        {0xC0150001, 8, 8, 0x80004005, 0},             /* 91: another facility */
        {0xE0000001, 8, 8, 0xE0000001, 0},             /* 92: the filter's own */
    };
    HANDLE port = connect_port(next_number(), 0);
    for (size_t at = 0; at < ARRAYSIZE(answers); at++) {
        struct request request = {ANSWER, answers[at].status, answers[at].returned, answers[at].written};
        uint8_t output[16];
        DWORD returned = 0xDEAD;
        memset(output, 0xEE, sizeof output);
        CHECK_HR(FilterSendMessage(port, &request, sizeof request, output, sizeof output, &returned), answers[at].hresult);
        CHECK_IS(returned, answers[at].told);
        size_t there = answers[at].told < sizeof output ? answers[at].told : sizeof output;
        for (size_t byte = 0; byte < there && answers[at].written != 0; byte++)
            CHECK_IS(output[byte], pattern(byte));
    }
    CHECK(CloseHandle(port));
}

TEST(row_093_a_bad_buffer_is_no_access_and_the_callback_is_not_called) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0);
    struct request request = {ANSWER, 0, 8, 8};
    DWORD returned;
    char *bad = (char *)8;
    CHECK_HR(FilterSendMessage(port, &request, sizeof request, bad, 8, &returned), W(ERROR_NOACCESS));
    CHECK_HR(FilterSendMessage(port, bad, 8, NULL, 0, &returned), W(ERROR_NOACCESS));
    CHECK_HR(FilterSendMessage(port, &request, sizeof request, NULL, 0, NULL), W(ERROR_NOACCESS));
    CHECK_HR(FilterSendMessage(port, &request, sizeof request, NULL, 0, (LPDWORD)(void *)bad), W(ERROR_NOACCESS));
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED && munmap(pages + page, page) == 0);
    memcpy(pages + page - sizeof request, &request, sizeof request);
    CHECK_HR(FilterSendMessage(port, pages + page - sizeof request, sizeof request, NULL, 0, &returned), S_OK);
    CHECK_HR(FilterSendMessage(port, pages + page - sizeof request, sizeof request + 1, NULL, 0, &returned), W(ERROR_NOACCESS));
    CHECK_HR(FilterSendMessage(port, &request, sizeof request, pages + page - 8, 8, &returned), S_OK);
    CHECK_HR(FilterSendMessage(port, &request, sizeof request, pages + page - 7, 8, &returned), W(ERROR_NOACCESS));
    CHECK(mprotect(pages, page, PROT_READ) == 0);
    CHECK_HR(FilterSendMessage(port, &request, sizeof request, pages, 8, &returned), W(ERROR_NOACCESS));
    CHECK(munmap(pages, page) == 0);
    CHECK_IS(callbacks(number), 0);
    CHECK(CloseHandle(port));
}

TEST(row_093_the_output_may_be_null_with_a_size) {
    HANDLE port = connect_port(next_number(), 0);
    struct request request = {ANSWER, 0, 8, 8};
    DWORD returned;
    CHECK_HR(FilterSendMessage(port, &request, sizeof request, NULL, 100, &returned), S_OK);
    CHECK_IS(returned, 8);
    CHECK_HR(FilterSendMessage(port, &request, sizeof request, &request, sizeof request, &returned), S_OK);
    CHECK_IS(((uint8_t *)&request)[7], pattern(7));
    CHECK(CloseHandle(port));
}

struct sender {
    HANDLE port;
    void *output;
    DWORD size;
};

static DWORD send_held(void *parameter) {
    struct sender *sender = parameter;
    struct request request = {HOLD, 0, sender->size, sender->size};
    DWORD returned;
    return (DWORD)FilterSendMessage(sender->port, &request, sizeof request, sender->output, sender->size, &returned);
}

TEST(row_094_a_buffer_that_goes_away_during_the_callback_is_no_access) {
    uint32_t number = next_number();
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *output = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(output != MAP_FAILED);
    struct sender sender = {connect_port(number, 0), output, 8};
    HANDLE sends = thread(send_held, &sender, NULL);
    UNTIL(callbacks(number) == 1);
    CHECK(munmap(output, page) == 0);
    release(number);
    CHECK_HR(join(sends), W(ERROR_NOACCESS));
    CHECK(CloseHandle(sender.port));
}

static DWORD send_ask_back(void *port) {
    struct request request = {ASK_BACK, 0, 0, 0};
    uint8_t output[8];
    DWORD returned;
    HRESULT sent = FilterSendMessage(port, &request, sizeof request, output, sizeof output, &returned);
    CHECK_IS(returned, 8);
    CHECK_IS(output[3], pattern(3));
    return (DWORD)sent;
}

TEST(row_095_a_message_callback_may_ask_the_same_client) {
    HANDLE port = connect_port(next_number(), 0);
    HANDLE sends = thread(send_ask_back, port, NULL);
    struct message message;
    CHECK_HR(FilterGetMessage(port, &message.header, MESSAGE_SIZE, NULL), S_OK);
    CHECK_HR(reply_with(port, message.header.MessageId, 0, 8), S_OK);
    CHECK_HR(join(sends), S_OK);
    CHECK(CloseHandle(port));
}

TEST(row_096_a_message_callback_may_close_its_own_connection) {
    HANDLE port = connect_port(next_number(), 0);
    struct request request = {CLOSE_ITSELF, 0, 0, 0};
    DWORD returned;
    HRESULT sent = FilterSendMessage(port, &request, sizeof request, NULL, 0, &returned);
    CHECK(sent == S_OK || sent == W(ERROR_INVALID_HANDLE));
    CHECK(CloseHandle(port));
}

TEST(row_097_requests_run_side_by_side) {
    uint32_t number = next_number();
    struct sender sender = {connect_port(number, 0), NULL, 0};
    HANDLE threads[5];
    for (int i = 0; i < 5; i++)
        threads[i] = thread(send_held, &sender, NULL);
    UNTIL(callbacks(number) == 5);
    for (int i = 0; i < 5; i++)
        release(number);
    for (int i = 0; i < 5; i++)
        CHECK_HR(join(threads[i]), S_OK);
    CHECK(CloseHandle(sender.port));
}

TEST(row_098_a_bad_handle_looks_like_a_dead_port) {
    HANDLE closed = connect_port(next_number(), 0);
    CHECK(CloseHandle(closed));
    HANDLE bad[] = {NULL, INVALID_HANDLE_VALUE, closed, (HANDLE)0x7FFFFFFCUL, (HANDLE)(ULONG_PTR)&closed, GetCurrentThread()};
    for (size_t at = 0; at < ARRAYSIZE(bad); at++) {
        struct message message;
        DWORD returned;
        OVERLAPPED overlapped = {0};
        CHECK_HR(FilterGetMessage(bad[at], &message.header, MESSAGE_SIZE, NULL), W(ERROR_INVALID_HANDLE));
        CHECK_HR(FilterGetMessage(bad[at], &message.header, MESSAGE_SIZE, &overlapped), W(ERROR_INVALID_HANDLE));
        CHECK_HR(FilterSendMessage(bad[at], &message, 1, NULL, 0, &returned), W(ERROR_INVALID_HANDLE));
        CHECK_HR(reply_with(bad[at], 1, 0, 0), W(ERROR_INVALID_HANDLE));
    }
}

TEST(row_099_a_handle_of_another_kind_is_refused) {
    HANDLE find, event = CreateEvent(NULL, TRUE, FALSE, NULL);
    char buffer[512];
    struct message message;
    DWORD returned;
    CHECK_HR(FilterGetMessage(event, &message.header, MESSAGE_SIZE, NULL), W(ERROR_INVALID_HANDLE));
    CHECK_HR(FilterVolumeFindFirst(FilterVolumeBasicInformation, buffer, sizeof buffer, &returned, &find), S_OK);
    CHECK_HR(FilterGetMessage(find, &message.header, MESSAGE_SIZE, NULL), W(ERROR_INVALID_FUNCTION));
    CHECK_HR(FilterSendMessage(find, &message, 1, NULL, 0, &returned), W(ERROR_INVALID_FUNCTION));
    CHECK_HR(FilterVolumeFindClose(find), S_OK);
    CHECK(CloseHandle(event));
}

TEST(row_100_a_duplicate_without_the_right_to_write_only_receives) {
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0), reads, writes, refused;
    DWORD returned;
    CHECK(DuplicateHandle(GetCurrentProcess(), port, GetCurrentProcess(), &reads, FILE_READ_DATA | SYNCHRONIZE, FALSE, 0));
    CHECK(DuplicateHandle(GetCurrentProcess(), port, GetCurrentProcess(), &writes, FILE_WRITE_DATA, FALSE, 0));
    uint64_t asked = filter_asks(number, 5, 4, FOR_EVER);
    struct message message;
    CHECK_HR(FilterGetMessage(writes, &message.header, MESSAGE_SIZE, NULL), E_ACCESSDENIED);
    CHECK_HR(FilterGetMessage(reads, &message.header, MESSAGE_SIZE, NULL), S_OK);
    CHECK_HR(reply_with(reads, message.header.MessageId, 0, 0), E_ACCESSDENIED);
    CHECK_HR(FilterSendMessage(reads, &message, 1, NULL, 0, &returned), E_ACCESSDENIED);
    CHECK_HR(reply_with(writes, message.header.MessageId, 0, 0), S_OK);
    CHECK_IS(outcome(asked).status, 0);
    CHECK_ERROR(DuplicateHandle(GetCurrentProcess(), reads, GetCurrentProcess(), &refused, FILE_WRITE_DATA, FALSE, 0),
                ERROR_ACCESS_DENIED);
    CHECK(CloseHandle(port) && CloseHandle(reads) && CloseHandle(writes));
    CHECK_IS(disconnects(number), 1);
}
