/* Filter Manager communication ports, both ends, for C programs of Linux and for what binds to C. No type of Win32.
 *
 *   gcc prog.c $(pkg-config --cflags --libs fltmgr)
 *
 * Functions that return an int return 0, or a negative status: FLTMGR_E_..., or any other that is an error on Windows (its
 * NTSTATUS as a number). fltmgr_strerror says what one means, fltmgr_last_error what went wrong in this thread's last call
 * that failed. Names and texts are UTF-8. Times are in milliseconds: FLTMGR_FOREVER, 0 for not at all. Every function may be
 * called from any thread, and several at once, but for the one that ends a handle.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef FLTMGR_H
#define FLTMGR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FLTMGR_FOREVER (-1)

#define FLTMGR_E_TIMEOUT ((int)0xC00000B5)            /* not in time */
#define FLTMGR_E_TOO_LONG ((int)0x80000005)           /* longer than the other end's buffer: it was cut */
#define FLTMGR_E_INVALID ((int)0xC000000D)            /* an argument */
#define FLTMGR_E_NO_CALLBACK ((int)0xC0000010)        /* the filter has no message callback */
#define FLTMGR_E_DENIED ((int)0xC0000022)             /* the port does not admit this user */
#define FLTMGR_E_BUFFER_TOO_SMALL ((int)0xC0000023)   /* the answer is longer than the room for it */
#define FLTMGR_E_NOT_FOUND ((int)0xC0000034)          /* no such port */
#define FLTMGR_E_EXISTS ((int)0xC0000035)             /* the name has a port already */
#define FLTMGR_E_DISCONNECTED ((int)0xC0000037)       /* the connection has ended */
#define FLTMGR_E_RESOURCES ((int)0xC000009A)          /* no memory, no descriptors, or too many of something */
#define FLTMGR_E_FULL ((int)0xC0000246)               /* the port has all its connections */
#define FLTMGR_E_NO_WAITER ((int)0xC01C0020)          /* the filter does not wait for this reply any more */

/* What a result means, in a few words that stay. */
const char *fltmgr_strerror(int result);
/* What this thread's last call that failed says: a sentence, until its next call that fails. */
const char *fltmgr_last_error(void);

/* The application's end. */

typedef struct fltmgr_connection fltmgr_connection;

/* What a filter sent. It is ended by fltmgr_reply or fltmgr_message_free. */
typedef struct fltmgr_message {
    uint64_t id;            /* 0 if no reply is wanted */
    const void *body;
    size_t len;
    int64_t reply_capacity; /* bytes that the filter has room for; -1 if no reply is wanted */
    int file;               /* a file that came with it, or -1; closed when the message ends: dup(2) it to keep it */
} fltmgr_message;

/* Connects to a port. The filter is called with the context, of at most 65,511 bytes. Waits for its callback. */
int fltmgr_connect(const char *name, const void *context, size_t context_len, fltmgr_connection **connection);
/* A descriptor for poll and epoll, of the connection's: readable while there is a message, or the connection is gone. Then
 * fltmgr_recv with 0 until FLTMGR_E_TIMEOUT. From the first call on a thread of the library's watches. */
int fltmgr_descriptor(fltmgr_connection *connection, int *descriptor);
/* Waits for a message. */
int fltmgr_recv(fltmgr_connection *connection, int milliseconds, fltmgr_message **message);
/* Replies with a status, 0 or negative, and a payload; the filter's fltmgr_ask ends with them. Ends the message, also when it
 * fails, but for FLTMGR_E_INVALID. */
int fltmgr_reply(fltmgr_message *message, int status, const void *payload, size_t len);
/* Ends a message without a reply of the program's: a filter that waits is told that there is none. */
void fltmgr_message_free(fltmgr_message *message);
/* Calls the filter's message callback, and waits for it. *output_len is the room before, and what the callback said after,
 * which may be more. Both may be NULL. */
int fltmgr_send(fltmgr_connection *connection, const void *input, size_t input_len, void *output, size_t *output_len);
/* Disconnects, and frees the connection, which no other thread may use any more. NULL does nothing. */
void fltmgr_close(fltmgr_connection *connection);

/* The filter's end. */

typedef struct fltmgr_port fltmgr_port;
typedef struct fltmgr_client fltmgr_client;

/* Called on threads of the library's, several at once, with the cookie of fltmgr_port_create. Each may be NULL. They may
 * block, but not close the port. */
struct fltmgr_callbacks {
    /* A client connects. 0 admits it; a negative status is what its fltmgr_connect returns. *session is what the other
     * callbacks of this connection get. The client is there until `disconnect` has returned; a filter that keeps it longer, or uses it
     * from other threads, retains it. */
    int (*connect)(void *cookie, fltmgr_client *client, const void *context, size_t len, void **session);
    /* The client sends. *output_len is the room, and then what it is told. The status is what its fltmgr_send returns. */
    int (*message)(void *cookie, void *session, const void *input, size_t input_len, void *output, size_t *output_len);
    /* The connection has ended; no other callback of it runs. Once for each that was admitted. */
    void (*disconnect)(void *cookie, void *session);
};

/* Creates a port. `sddl` says which users it admits ("D:(A;;GA;;;AU)": every local one); NULL: root alone. The
 * callbacks are copied. */
int fltmgr_port_create(const char *name, const char *sddl, uint32_t max_connections,
                       const struct fltmgr_callbacks *callbacks, void *cookie, fltmgr_port **port);
/* Ends the port and its connections, and returns when no callback runs any more. NULL does nothing. */
void fltmgr_port_close(fltmgr_port *port);
/* Sends a message, with an open file if it is not -1, and waits for the reply. *reply_len is the room before, and what was
 * filled after. Returns the status of the reply. */
int fltmgr_ask(fltmgr_client *client, const void *message, size_t len, int file, void *reply, size_t *reply_len,
               int milliseconds);
/* Sends a message that wants no reply; returns when the client has it. */
int fltmgr_notify(fltmgr_client *client, const void *message, size_t len, int milliseconds);
/* Ends the client's connection. */
void fltmgr_client_close(fltmgr_client *client);
void fltmgr_client_retain(fltmgr_client *client);
void fltmgr_client_release(fltmgr_client *client);

#ifdef __cplusplus
}
#endif

#endif
