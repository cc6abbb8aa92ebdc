/* The scanner: says of each file that scanner_filter asks about whether it is safe to open. What is foul contains "foul".
 *
 *   gcc scanner_app.c -o scanner_app $(pkg-config --cflags --libs fltmgr) */
#define _GNU_SOURCE
#include <fltmgr.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A file that cannot be read to its end is not called safe. */
static int is_safe(int file) {
    static const char foul[] = "foul";
    enum { KEPT = sizeof foul - 2 };
    char buffer[KEPT + 65536];
    size_t kept = 0;
    for (;;) {
        ssize_t got = file < 0 ? -1 : read(file, buffer + kept, sizeof buffer - kept);
        if (got <= 0)
            return got == 0;
        size_t end = kept + (size_t)got;
        if (memmem(buffer, end, foul, sizeof foul - 1) != NULL)
            return 0;
        /* the beginning of what is looked for may be at the end of a piece */
        kept = end < KEPT ? end : KEPT;
        memmove(buffer, buffer + end - kept, kept);
    }
}

int main(void) {
    fltmgr_connection *port;
    struct pollfd poller = {.events = POLLIN};
    if (fltmgr_connect("\\ScannerPort", NULL, 0, &port) != 0 || fltmgr_descriptor(port, &poller.fd) != 0) {
        fprintf(stderr, "%s\n", fltmgr_last_error());
        return 1;
    }
    int result = 0;
    while (result != FLTMGR_E_DISCONNECTED && poll(&poller, 1, -1) >= 0) {
        fltmgr_message *message;
        while ((result = fltmgr_recv(port, 0, &message)) == 0) {
            unsigned char safe = (unsigned char)is_safe(message->file);
            printf("%s %.*s\n", safe ? "safe" : "FOUL", (int)message->len, (const char *)message->body);
            fflush(stdout);
            if (fltmgr_reply(message, 0, &safe, 1) != 0)
                fprintf(stderr, "%s\n", fltmgr_last_error());
        }
    }
    fltmgr_close(port);
    return 0;
}
