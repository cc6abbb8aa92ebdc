#include "drive.h"

#include <string.h>

static HANDLE control(void) {
    static HANDLE control;
    if (control == NULL) {
        struct context context = {CONTROL, 0, 0, 0};
        CHECK_HR(FilterConnectCommunicationPort(PORT, 0, &context, sizeof context, NULL, &control), S_OK);
    }
    return control;
}

struct told tell(struct command command) {
    struct told told;
    DWORD returned;
    CHECK_HR(FilterSendMessage(control(), &command, sizeof command, &told, sizeof told, &returned), S_OK);
    CHECK_IS(returned, sizeof told);
    return told;
}

static struct told must(struct command command) {
    struct told told = tell(command);
    CHECK_IS(told.status, 0);
    return told;
}

uint32_t next_number(void) {
    static LONG number;
    return (uint32_t)InterlockedIncrement(&number);
}

HRESULT try_connect(const WCHAR *name, struct context context, HANDLE *port) {
    context.kind = TESTED;
    return FilterConnectCommunicationPort(name, 0, &context, sizeof context, NULL, port);
}

HANDLE connect_port(uint32_t number, uint32_t flags) {
    HANDLE port;
    CHECK_HR(try_connect(PORT, (struct context){TESTED, number, 0, flags}, &port), S_OK);
    return port;
}

uint64_t filter_asks(uint32_t number, uint64_t length, uint64_t capacity, int64_t timeout) {
    return must((struct command){.op = ASK, .connection = number, .length = length, .capacity = capacity, .timeout = timeout})
        .value;
}

uint64_t filter_sends(uint32_t number, uint64_t length, int64_t timeout) {
    return must((struct command){.op = SEND, .connection = number, .length = length, .timeout = timeout}).value;
}

struct told outcome(uint64_t ticket) {
    struct told told = tell((struct command){.op = RESULT, .length = ticket, .timeout = PATIENCE});
    CHECK(told.done);
    return told;
}

bool is_pending(uint64_t ticket) {
    return !tell((struct command){.op = RESULT, .length = ticket}).done;
}

uint64_t connects(uint32_t number) {
    return must((struct command){.op = KNOW, .connection = number}).value;
}

uint64_t disconnects(uint32_t number) {
    return must((struct command){.op = KNOW, .connection = number}).length;
}

uint64_t callbacks(uint32_t number) {
    struct told told = must((struct command){.op = KNOW, .connection = number});
    uint64_t running;
    memcpy(&running, told.bytes, sizeof running);
    return running;
}

void release(uint32_t number) {
    must((struct command){.op = RELEASE, .connection = number});
}

static struct command named(uint32_t op, const char *name) {
    struct command command = {.op = op};
    CHECK(strlen(name) < sizeof command.name);
    strcpy(command.name, name);
    return command;
}

uint32_t create_port(const char *name, uint64_t connections, uint32_t flags) {
    struct command command = named(CREATE, name);
    command.capacity = connections;
    command.flags = flags;
    return tell(command).status;
}

void close_port(const char *name) {
    must(named(CLOSE_PORT, name));
}

void unload(const char *name) {
    must(named(UNLOAD, name));
}

uint8_t pattern(size_t at) {
    return (uint8_t)(at * 31 + 7);
}

void check_message(const struct message *message, size_t length) {
    for (size_t at = 0; at < length; at++)
        CHECK_IS(message->body[at], pattern(at));
}

HRESULT reply_with(HANDLE port, ULONGLONG id, NTSTATUS status, size_t length) {
    struct reply reply = {.header = {status, id}};
    for (size_t at = 0; at < length; at++)
        reply.body[at] = pattern(at);
    return FilterReplyMessage(port, &reply.header, (DWORD)(sizeof reply.header + length));
}
