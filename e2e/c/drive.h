/* How a test tells the filter of e2e/tests/c/driven.rs what to do. The filter is driven over a connection of its own; the
 * connections that tests are about have numbers, which the tests choose. */
#ifndef DRIVE_H
#define DRIVE_H

#include "test.h"

#define PORT L"\\Driven"

struct context {
    uint32_t kind, number, status, flags;
};
enum { CONTROL = 1, TESTED = 2 };
enum { HOLD_CONNECT = 1, HOLD_DISCONNECT = 2, ASK_IN_CONNECT = 4, CLOSE_IN_CONNECT = 8 };

struct command {
    uint32_t op, connection;
    uint64_t length, capacity;
    int64_t timeout;
    uint32_t flags, padding;
    char name[64];
};
enum { ASK = 1, SEND, RESULT, CLOSE, KNOW, RELEASE, CREATE, CLOSE_PORT, UNLOAD, ASK_WITH_FILE };
enum { CASE_INSENSITIVE = 1, CONNECT_RIGHT_ONLY = 2, NOBODY = 4, NO_CALLBACK = 8 };
#define FOR_EVER (-1)

struct told {
    uint32_t status, done;
    uint64_t value, length;
    uint8_t bytes[64];
};

struct request {
    uint32_t kind, status;
    uint64_t returned, written;
};
enum { ANSWER, HOLD, ASK_BACK, CLOSE_ITSELF };

/* A receive buffer, as clients have them. */
struct message {
    FILTER_MESSAGE_HEADER header;
    uint8_t body[4096];
    OVERLAPPED overlapped;
};
#define MESSAGE_SIZE FIELD_OFFSET(struct message, overlapped)

struct reply {
    FILTER_REPLY_HEADER header;
    uint8_t body[4096];
};

struct told tell(struct command command);
/* A number for a connection that no other test has. */
uint32_t next_number(void);
/* Connects to `name` with a context. */
HRESULT try_connect(const WCHAR *name, struct context context, HANDLE *port);
/* A tested connection to PORT. */
HANDLE connect_port(uint32_t number, uint32_t flags);
/* The filter sends `length` bytes: with a reply of `capacity` at most, or without. A ticket for `outcome`. */
uint64_t filter_asks(uint32_t number, uint64_t length, uint64_t capacity, int64_t timeout);
uint64_t filter_sends(uint32_t number, uint64_t length, int64_t timeout);
/* What came of it, when it has come. */
struct told outcome(uint64_t ticket);
/* Whether nothing has come of it yet. */
bool is_pending(uint64_t ticket);
uint64_t connects(uint32_t number);
uint64_t disconnects(uint32_t number);
uint64_t callbacks(uint32_t number);
void release(uint32_t number);
uint32_t create_port(const char *name, uint64_t connections, uint32_t flags);
void close_port(const char *name);
void unload(const char *name);
/* The byte at `at` of each message of the filter's. */
uint8_t pattern(size_t at);
/* Checks that a message is one of so many bytes. */
void check_message(const struct message *message, size_t length);
/* Replies with `length` bytes. */
HRESULT reply_with(HANDLE port, ULONGLONG id, NTSTATUS status, size_t length);

#endif
