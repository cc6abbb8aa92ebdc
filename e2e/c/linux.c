/* Both ends of a port by fltmgr.h, in one program. */
#include <errno.h>
#include <fltmgr.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void check(int condition, const char *what, int line) {
    if (!condition) {
        printf("FAILED line %d: %s: %s\n", line, what, fltmgr_last_error());
        exit(1);
    }
}
#define CHECK(condition) check(condition, #condition, __LINE__)

#define PORT "\\Linux\xC3\xA4"

struct filter {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    fltmgr_client *client;
    int disconnects;
};

static int on_connect(void *cookie, fltmgr_client *client, const void *context, size_t len, void **session) {
    struct filter *filter = cookie;
    if (len == 6 && memcmp(context, "refuse", 6) == 0)
        return FLTMGR_E_DENIED;
    fltmgr_client_retain(client);
    pthread_mutex_lock(&filter->lock);
    filter->client = client;
    pthread_mutex_unlock(&filter->lock);
    *session = strdup("session");
    return 0;
}

static int on_message(void *cookie, void *session, const void *input, size_t input_len, void *output, size_t *output_len) {
    (void)cookie;
    CHECK(strcmp(session, "session") == 0);
    size_t room = *output_len;
    *output_len = input_len;
    if (room < input_len)
        return FLTMGR_E_BUFFER_TOO_SMALL;
    memcpy(output, input, input_len);
    return 0;
}

static void on_disconnect(void *cookie, void *session) {
    struct filter *filter = cookie;
    free(session);
    pthread_mutex_lock(&filter->lock);
    filter->disconnects++;
    pthread_cond_signal(&filter->changed);
    pthread_mutex_unlock(&filter->lock);
}

/* One question of the filter's, and what came of it. */
struct question {
    fltmgr_client *client;
    const char *text;
    int file, milliseconds, result;
    char reply[8];
    size_t len;
};

static void *ask(void *asked) {
    struct question *question = asked;
    question->len = sizeof question->reply;
    question->result = fltmgr_ask(question->client, question->text, strlen(question->text), question->file,
                                  question->reply, &question->len, question->milliseconds);
    return NULL;
}

static pthread_t start(struct question *question) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, ask, question) == 0);
    return thread;
}

static void questions(fltmgr_connection *port, fltmgr_client *client) {
    struct question question = {.client = client, .text = "file", .file = -1, .milliseconds = 20000};
    fltmgr_message *message;
    CHECK(fltmgr_recv(port, 0, &message) == FLTMGR_E_TIMEOUT);

    pthread_t thread = start(&question);
    CHECK(fltmgr_recv(port, FLTMGR_FOREVER, &message) == 0);
    CHECK(message->id == 1 && message->len == 4 && memcmp(message->body, "file", 4) == 0);
    CHECK(message->reply_capacity == 8 && message->file == -1);
    CHECK(fltmgr_reply(message, 0, "abc", 3) == 0);
    pthread_join(thread, NULL);
    CHECK(question.result == 0 && question.len == 3 && memcmp(question.reply, "abc", 3) == 0);

    /* a status of its own, a reply that is too long, none at all */
    thread = start(&question);
    CHECK(fltmgr_recv(port, 20000, &message) == 0);
    CHECK(fltmgr_reply(message, FLTMGR_E_DENIED, "x", 1) == 0);
    pthread_join(thread, NULL);
    CHECK(question.result == FLTMGR_E_DENIED && question.len == 1);
    thread = start(&question);
    CHECK(fltmgr_recv(port, 20000, &message) == 0);
    CHECK(fltmgr_reply(message, 0, "123456789", 9) == FLTMGR_E_TOO_LONG);
    pthread_join(thread, NULL);
    CHECK(question.result == FLTMGR_E_TOO_LONG && question.len == 8);
    thread = start(&question);
    CHECK(fltmgr_recv(port, 20000, &message) == 0);
    fltmgr_message_free(message);
    pthread_join(thread, NULL);
    CHECK(question.result < 0 && question.len == 0);

    /* too late */
    question.milliseconds = 1;
    ask(&question);
    CHECK(question.result == FLTMGR_E_TIMEOUT);
    question.milliseconds = 50;
    thread = start(&question);
    if (fltmgr_recv(port, 1000, &message) == 0) {
        pthread_join(thread, NULL);
        CHECK(question.result == FLTMGR_E_TIMEOUT);
        CHECK(fltmgr_reply(message, 0, NULL, 0) == FLTMGR_E_NO_WAITER);
    } else {
        pthread_join(thread, NULL);
    }
}

static void event_loop(fltmgr_connection *port, fltmgr_client *client) {
    int ends[2];
    CHECK(pipe(ends) == 0 && write(ends[1], "content", 7) == 7);
    struct question question = {.client = client, .text = "with a file", .file = ends[0], .milliseconds = 20000};
    struct pollfd poller = {.events = POLLIN};
    fltmgr_message *message;
    int again;
    CHECK(fltmgr_descriptor(port, &poller.fd) == 0);
    CHECK(fltmgr_descriptor(port, &again) == 0 && again == poller.fd);
    CHECK(poll(&poller, 1, 0) == 0);
    for (int i = 0; i < 20; i++) {
        pthread_t thread = start(&question);
        while (fltmgr_recv(port, 0, &message) == FLTMGR_E_TIMEOUT)
            CHECK(poll(&poller, 1, 20000) == 1);
        if (i == 0) {
            char content[7];
            CHECK(message->file >= 0 && read(message->file, content, 7) == 7 && memcmp(content, "content", 7) == 0);
        }
        CHECK(fltmgr_reply(message, 0, "ok", 2) == 0);
        pthread_join(thread, NULL);
        CHECK(question.result == 0 && question.len == 2);
    }
    CHECK(fltmgr_notify(client, "no reply", 8, 20000) == 0);
    CHECK(fltmgr_recv(port, 20000, &message) == 0 && message->id == 0 && message->reply_capacity == -1);
    fltmgr_message_free(message);
    close(ends[0]);
    close(ends[1]);
}

static void requests(fltmgr_connection *port) {
    char answer[16];
    size_t len = sizeof answer;
    CHECK(fltmgr_send(port, "hello", 5, answer, &len) == 0 && len == 5 && memcmp(answer, "hello", 5) == 0);
    len = 2;
    int result = fltmgr_send(port, "hello", 5, answer, &len);
    CHECK(result < 0 && len == 5);
    CHECK(fltmgr_send(port, "hello", 5, NULL, NULL) < 0);
    CHECK(fltmgr_send(port, NULL, 5, NULL, NULL) == FLTMGR_E_INVALID);
    CHECK(fltmgr_send(port, NULL, 0, NULL, NULL) == FLTMGR_E_INVALID);
}

static void wrong_arguments(fltmgr_connection *port) {
    fltmgr_connection *none = port;
    fltmgr_port *no_port;
    fltmgr_message *message;
    CHECK(fltmgr_connect(NULL, NULL, 0, &none) == FLTMGR_E_INVALID && none == NULL);
    CHECK(fltmgr_connect("\\\xFF", NULL, 0, &none) == FLTMGR_E_INVALID);
    CHECK(fltmgr_connect(PORT, NULL, 0, NULL) == FLTMGR_E_INVALID);
    CHECK(fltmgr_connect(PORT, NULL, 5, &none) == FLTMGR_E_INVALID);
    CHECK(fltmgr_connect("\\No such port", NULL, 0, &none) == FLTMGR_E_NOT_FOUND);
    CHECK(strstr(fltmgr_last_error(), "No such port") != NULL);
    CHECK(strcmp(fltmgr_strerror(FLTMGR_E_DENIED), "access denied") == 0);
    CHECK(fltmgr_strerror(12345) != NULL);
    CHECK(fltmgr_recv(NULL, 0, &message) == FLTMGR_E_INVALID && fltmgr_recv(port, 0, NULL) == FLTMGR_E_INVALID);
    CHECK(fltmgr_descriptor(NULL, NULL) == FLTMGR_E_INVALID && fltmgr_reply(NULL, 0, NULL, 0) == FLTMGR_E_INVALID);
    CHECK(fltmgr_port_create(PORT, NULL, 1, NULL, NULL, &no_port) == FLTMGR_E_INVALID);
    struct fltmgr_callbacks callbacks = {NULL, NULL, NULL};
    CHECK(fltmgr_port_create(PORT, NULL, 1, &callbacks, NULL, &no_port) == FLTMGR_E_EXISTS);
    CHECK(fltmgr_port_create("\\Other", "no descriptor", 1, &callbacks, NULL, &no_port) == FLTMGR_E_INVALID);
    CHECK(fltmgr_ask(NULL, NULL, 0, -1, NULL, NULL, 0) == FLTMGR_E_INVALID);
    CHECK(fltmgr_notify(NULL, NULL, 0, 0) == FLTMGR_E_INVALID);
    fltmgr_message_free(NULL);
    fltmgr_close(NULL);
    fltmgr_port_close(NULL);
    fltmgr_client_close(NULL);
    fltmgr_client_retain(NULL);
    fltmgr_client_release(NULL);
}

int main(void) {
    struct filter filter = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct fltmgr_callbacks callbacks = {on_connect, on_message, on_disconnect};
    fltmgr_port *port;
    fltmgr_connection *connection, *second;
    fltmgr_message *message;
    alarm(120);
    CHECK(fltmgr_port_create(PORT, NULL, 1, &callbacks, &filter, &port) == 0);
    CHECK(fltmgr_connect(PORT, "refuse", 6, &connection) == FLTMGR_E_DENIED && connection == NULL);
    CHECK(fltmgr_connect(PORT, "context", 7, &connection) == 0);
    CHECK(fltmgr_connect(PORT, NULL, 0, &second) == FLTMGR_E_FULL);
    questions(connection, filter.client);
    requests(connection);
    event_loop(connection, filter.client);
    requests(connection);

    /* the filter ends it */
    fltmgr_client_close(filter.client);
    int descriptor;
    CHECK(fltmgr_descriptor(connection, &descriptor) == 0);
    struct pollfd poller = {.fd = descriptor, .events = POLLIN};
    CHECK(poll(&poller, 1, 20000) == 1);
    CHECK(fltmgr_recv(connection, FLTMGR_FOREVER, &message) == FLTMGR_E_DISCONNECTED);
    CHECK(fltmgr_send(connection, "x", 1, NULL, NULL) == FLTMGR_E_DISCONNECTED);
    fltmgr_close(connection);
    pthread_mutex_lock(&filter.lock);
    while (filter.disconnects == 0)
        pthread_cond_wait(&filter.changed, &filter.lock);
    pthread_mutex_unlock(&filter.lock);
    CHECK(fltmgr_notify(filter.client, "x", 1, 0) == FLTMGR_E_DISCONNECTED);
    fltmgr_client_release(filter.client);

    CHECK(fltmgr_connect(PORT, NULL, 0, &connection) == 0);
    wrong_arguments(connection);
    fltmgr_port_close(port);
    CHECK(fltmgr_recv(connection, FLTMGR_FOREVER, &message) == FLTMGR_E_DISCONNECTED);
    fltmgr_close(connection);
    fltmgr_client_release(filter.client);
    CHECK(filter.disconnects == 2);
    puts("good");
    return 0;
}
