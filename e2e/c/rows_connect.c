/* Rows 1 to 31: ports, connects, and how connections begin. */
#include "drive.h"

TEST(row_001_a_port_that_does_not_exist_is_not_found) {
    HANDLE port = NULL;
    CHECK_HR(FilterConnectCommunicationPort(L"\\NoSuchPort", 0, NULL, 0, NULL, &port), W(ERROR_FILE_NOT_FOUND));
    CHECK(port == INVALID_HANDLE_VALUE);
}

TEST(row_002_a_caller_without_the_right_is_denied_before_the_filter_hears_of_it) {
    HANDLE port;
    uint32_t number = next_number();
    CHECK_IS(create_port("\\Row2", 1, NOBODY), 0);
    CHECK_HR(try_connect(L"\\Row2", (struct context){.number = number}, &port), E_ACCESSDENIED);
    CHECK(port == INVALID_HANDLE_VALUE);
    CHECK_IS(connects(number), 0);
    close_port("\\Row2");
}

TEST(row_003_the_connect_right_alone_is_not_enough) {
    HANDLE port;
    CHECK_IS(create_port("\\Row3", 1, CONNECT_RIGHT_ONLY), 0);
    CHECK_HR(try_connect(L"\\Row3", (struct context){0}, &port), W(ERROR_ACCESS_DENIED));
    close_port("\\Row3");
}

TEST(row_004_a_full_port_refuses_and_counts_right_afterwards) {
    HANDLE first, second;
    uint32_t number = next_number();
    CHECK_IS(create_port("\\Row4", 1, 0), 0);
    CHECK_HR(try_connect(L"\\Row4", (struct context){.number = number}, &first), S_OK);
    CHECK_HR(try_connect(L"\\Row4", (struct context){.number = number}, &second), W(ERROR_CONNECTION_COUNT_LIMIT));
    CHECK(second == INVALID_HANDLE_VALUE);
    CHECK_IS(connects(number), 1);
    CHECK(CloseHandle(first));
    CHECK_HR(try_connect(L"\\Row4", (struct context){.number = number}, &first), S_OK);
    CHECK(CloseHandle(first));
    close_port("\\Row4");
}

static DWORD close_it(void *handle) {
    return (DWORD)CloseHandle(handle);
}

TEST(row_005_the_place_is_taken_until_the_disconnect_callback_returns) {
    HANDLE first, second;
    uint32_t number = next_number();
    CHECK_IS(create_port("\\Row5", 1, 0), 0);
    struct context context = {TESTED, number, 0, HOLD_DISCONNECT};
    CHECK_HR(try_connect(L"\\Row5", context, &first), S_OK);
    DWORD id;
    HANDLE closes = thread(close_it, first, &id);
    HRESULT refused;
    UNTIL(is_asleep(id));
    refused = try_connect(L"\\Row5", context, &second);
    CHECK_HR(refused, W(ERROR_CONNECTION_COUNT_LIMIT));
    release(number);
    CHECK_IS(join(closes), TRUE);
    CHECK_IS(disconnects(number), 1);
    context.flags = 0;
    CHECK_HR(try_connect(L"\\Row5", context, &second), S_OK);
    CHECK(CloseHandle(second));
    close_port("\\Row5");
}

TEST(row_006_a_refusal_by_the_filter_is_what_the_client_gets_and_leaves_nothing) {
    static const struct {
        uint32_t status, hresult;
    } refusals[] = {
        {0xC0000001, 0x8007001F}, {0xC0000022, 0x80070005}, {0xC00000F1, 0x80070057}, {0xC0000236, 0x800704C9},
        {0xC01C0008, 0x801F0008}, {0xC0150001, 0x80004005}, {0xE0000001, 0xE0000001},
    };
    CHECK_IS(create_port("\\Row6", 1, 0), 0);
    for (size_t at = 0; at < ARRAYSIZE(refusals); at++) {
        uint32_t number = next_number();
        HANDLE port = NULL;
        struct context context = {TESTED, number, refusals[at].status, 0};
        CHECK_HR(try_connect(L"\\Row6", context, &port), refusals[at].hresult);
        CHECK(port == INVALID_HANDLE_VALUE);
        CHECK_IS(disconnects(number), 0);
    }
    HANDLE port;
    CHECK_HR(try_connect(L"\\Row6", (struct context){0}, &port), S_OK);
    CHECK(CloseHandle(port));
    close_port("\\Row6");
}

TEST(row_007_a_filter_may_close_the_client_that_it_then_refuses) {
    HANDLE port;
    struct context context = {TESTED, next_number(), 0xC0000022, CLOSE_IN_CONNECT};
    CHECK_HR(try_connect(PORT, context, &port), E_ACCESSDENIED);
}

TEST(row_008_009_a_status_that_is_no_failure_refuses_because_there_is_no_session) {
    HANDLE port;
    CHECK_HR(try_connect(PORT, (struct context){.status = 0x40000000}, &port), E_INVALIDARG);
    CHECK_HR(try_connect(PORT, (struct context){.status = 0x00000103}, &port), E_INVALIDARG);
}

TEST(row_010_a_message_from_the_connect_callback_finds_no_receiver) {
    /* the filter asserts that it times out */
    HANDLE port = connect_port(next_number(), ASK_IN_CONNECT);
    CHECK(CloseHandle(port));
}

static DWORD connect_it(void *parameter) {
    uint32_t *number = parameter;
    HANDLE port = connect_port(*number, HOLD_CONNECT);
    return (DWORD)CloseHandle(port);
}

TEST(row_011_a_connect_callback_that_blocks_holds_up_no_other_connect) {
    uint32_t number = next_number();
    HANDLE blocked = thread(connect_it, &number, NULL);
    UNTIL(connects(number) == 1);
    HANDLE port = connect_port(next_number(), 0);
    CHECK(CloseHandle(port));
    CHECK_IS(WaitForSingleObject(blocked, 0), WAIT_TIMEOUT);
    release(number);
    CHECK_IS(join(blocked), TRUE);
}

TEST(row_012_a_context_is_there_with_its_size_or_not) {
    HANDLE port = NULL;
    char context[4] = {0};
    CHECK_HR(FilterConnectCommunicationPort(PORT, 0, NULL, 4, NULL, &port), E_INVALIDARG);
    CHECK(port == INVALID_HANDLE_VALUE);
    CHECK_HR(FilterConnectCommunicationPort(PORT, 0, context, 0, NULL, &port), E_INVALIDARG);
    CHECK_HR(FilterConnectCommunicationPort(PORT, 0, NULL, 0, NULL, &port), S_OK);
    CHECK(CloseHandle(port));
}

TEST(row_013_the_longest_context_is_65511_bytes) {
    static char context[65535];
    HANDLE port;
    for (int size = 65535; size > 65511; size--)
        CHECK_HR(FilterConnectCommunicationPort(PORT, 0, context, (WORD)size, NULL, &port), W(ERROR_ARITHMETIC_OVERFLOW));
    CHECK_HR(FilterConnectCommunicationPort(PORT, 0, context, 65511, NULL, &port), S_OK);
    CHECK(CloseHandle(port));
}

TEST(row_015_a_name_begins_with_a_backslash) {
    HANDLE port;
    CHECK_HR(FilterConnectCommunicationPort(L"Driven", 0, NULL, 0, NULL, &port), W(ERROR_BAD_PATHNAME));
    CHECK_IS(create_port("Row15", 1, 0), 0xC000003B);
}

TEST(row_016_a_name_is_not_empty) {
    HANDLE port;
    CHECK_HR(FilterConnectCommunicationPort(L"", 0, NULL, 0, NULL, &port), W(ERROR_INVALID_NAME));
    CHECK_HR(FilterConnectCommunicationPort(NULL, 0, NULL, 0, NULL, &port), W(ERROR_INVALID_NAME));
    static const WCHAR half[] = {'\\', 0xD800, 0};
    CHECK_HR(FilterConnectCommunicationPort(half, 0, NULL, 0, NULL, &port), W(ERROR_INVALID_NAME));
}

TEST(row_017_the_directory_of_a_name_exists) {
    HANDLE port;
    CHECK_HR(FilterConnectCommunicationPort(L"\\NoDirectory\\Port", 0, NULL, 0, NULL, &port), W(ERROR_PATH_NOT_FOUND));
}

TEST(row_018_a_name_of_something_else_is_of_another_type) {
    char path[512];
    snprintf(path, sizeof path, "%s/Row18", getenv("FLTMGR_NAMESPACE"));
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    fclose(file);
    HANDLE port;
    CHECK_HR(FilterConnectCommunicationPort(L"\\Row18", 0, NULL, 0, NULL, &port), W(ERROR_INVALID_HANDLE));
    CHECK(remove(path) == 0);
}

TEST(row_019_case_matters_unless_the_port_says_otherwise) {
    HANDLE port;
    CHECK_HR(FilterConnectCommunicationPort(L"\\DRIVEN", 0, NULL, 0, NULL, &port), W(ERROR_FILE_NOT_FOUND));
    CHECK_IS(create_port("\\Row19", 1, CASE_INSENSITIVE), 0);
    CHECK_HR(try_connect(L"\\ROW19", (struct context){0}, &port), S_OK);
    CHECK(CloseHandle(port));
    CHECK_IS(create_port("\\rOW19", 1, CASE_INSENSITIVE), 0xC0000035);
    close_port("\\Row19");
}

TEST(row_020_a_name_has_one_port) {
    CHECK_IS(create_port("\\Row20", 1, 0), 0);
    CHECK_IS(create_port("\\Row20", 1, 0), 0xC0000035);
    close_port("\\Row20");
}

TEST(row_022_a_port_needs_room_for_a_connection) {
    CHECK_IS(create_port("\\Row22", 0, 0), 0xC000000D);
}

TEST(row_027_closing_a_port_leaves_its_connections_and_lets_no_new_client_in) {
    uint32_t number = next_number();
    HANDLE port, other;
    CHECK_IS(create_port("\\Row27", 2, 0), 0);
    CHECK_HR(try_connect(L"\\Row27", (struct context){.number = number}, &port), S_OK);
    close_port("\\Row27");
    CHECK_HR(try_connect(L"\\Row27", (struct context){0}, &other), W(ERROR_FILE_NOT_FOUND));
    uint64_t asked = filter_asks(number, 1, 4, FOR_EVER);
    struct message message;
    CHECK_HR(FilterGetMessage(port, &message.header, MESSAGE_SIZE, NULL), S_OK);
    CHECK_HR(reply_with(port, message.header.MessageId, 0, 4), S_OK);
    CHECK_IS(outcome(asked).length, 4);
    CHECK(CloseHandle(port));
    CHECK_IS(disconnects(number), 1);
}

TEST(row_028_a_name_is_free_when_its_port_closes_and_the_new_port_counts_for_itself) {
    HANDLE old, new;
    CHECK_IS(create_port("\\Row28", 1, 0), 0);
    CHECK_HR(try_connect(L"\\Row28", (struct context){0}, &old), S_OK);
    close_port("\\Row28");
    CHECK_IS(create_port("\\Row28", 1, 0), 0);
    CHECK_HR(try_connect(L"\\Row28", (struct context){0}, &new), S_OK);
    CHECK(CloseHandle(old));
    CHECK(CloseHandle(new));
    close_port("\\Row28");
}

TEST(row_029_031_032_033_101_after_an_unload_a_handle_is_dead_and_stays_so) {
    uint32_t number = next_number();
    HANDLE port, again;
    struct message message;
    DWORD returned = 1;
    char byte = 0;
    CHECK_IS(create_port("\\Row30", 1, 0), 0);
    CHECK_HR(try_connect(L"\\Row30", (struct context){.number = number}, &port), S_OK);
    unload("\\Row30");
    CHECK_IS(disconnects(number), 1);
    CHECK_HR(FilterGetMessage(port, &message.header, MESSAGE_SIZE, NULL), W(ERROR_INVALID_HANDLE));
    CHECK_HR(FilterSendMessage(port, &byte, 1, NULL, 0, &returned), W(ERROR_INVALID_HANDLE));
    CHECK_IS(returned, 0);
    CHECK_HR(reply_with(port, 1, 0, 0), ERROR_FLT_NO_WAITER_FOR_REPLY);
    CHECK_HR(try_connect(L"\\Row30", (struct context){0}, &again), W(ERROR_FILE_NOT_FOUND));
    CHECK_IS(create_port("\\Row30", 1, 0), 0);
    CHECK_HR(FilterGetMessage(port, &message.header, MESSAGE_SIZE, NULL), W(ERROR_INVALID_HANDLE));
    CHECK(CloseHandle(port));
    CHECK_IS(disconnects(number), 1);
    close_port("\\Row30");
}

static DWORD get_one(void *port) {
    struct message message;
    return (DWORD)FilterGetMessage(port, &message.header, MESSAGE_SIZE, NULL);
}

TEST(row_030_an_unload_ends_a_blocked_receive) {
    uint32_t number = next_number();
    HANDLE port;
    CHECK_IS(create_port("\\Row30a", 1, 0), 0);
    CHECK_HR(try_connect(L"\\Row30a", (struct context){.number = number}, &port), S_OK);
    DWORD id;
    HANDLE receives = thread(get_one, port, &id);
    UNTIL(is_asleep(id));
    unload("\\Row30a");
    CHECK_HR(join(receives), W(ERROR_INVALID_HANDLE));
    CHECK(CloseHandle(port));
}

TEST(options_that_are_not_known_are_refused) {
    HANDLE port;
    for (DWORD options = 2; options != 0; options <<= 1)
        CHECK_HR(FilterConnectCommunicationPort(PORT, options, NULL, 0, NULL, &port), E_INVALIDARG);
}
