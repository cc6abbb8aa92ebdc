/* Under a storm of signals, whose handler restarts nothing. */
#include "drive.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static volatile LONG stop, signals;
static pthread_t victims[2];

static void on_signal(int signal) {
    (void)signal;
    InterlockedIncrement(&signals);
}

static DWORD sends_signals(void *unused) {
    (void)unused;
    while (!stop) {
        pthread_kill(victims[0], SIGUSR1);
        pthread_kill(victims[1], SIGUSR1);
        usleep(20);
    }
    return 0;
}

static HANDLE ping, pong;

static DWORD answers_pings(void *rounds) {
    victims[1] = pthread_self();
    SetEvent(pong);
    for (ULONG_PTR i = 0; i < (ULONG_PTR)rounds; i++) {
        CHECK_IS(WaitForSingleObject(ping, PATIENCE), WAIT_OBJECT_0);
        CHECK(SetEvent(pong));
    }
    return 0;
}

TEST(signals_break_nothing) {
    enum { ROUNDS = 200 };
    struct sigaction action = {.sa_handler = on_signal};
    CHECK_IS(sigaction(SIGUSR1, &action, NULL), 0);
    ping = CreateEvent(NULL, FALSE, FALSE, NULL);
    pong = CreateEvent(NULL, FALSE, FALSE, NULL);
    victims[0] = pthread_self();
    HANDLE answerer = thread(answers_pings, (void *)ROUNDS, NULL);
    CHECK_IS(WaitForSingleObject(pong, PATIENCE), WAIT_OBJECT_0);
    HANDLE storm = thread(sends_signals, NULL, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(SetEvent(ping));
        CHECK_IS(WaitForMultipleObjects(1, &pong, TRUE, PATIENCE), WAIT_OBJECT_0);
    }
    uint32_t number = next_number();
    HANDLE port = connect_port(number, 0), completions = CreateIoCompletionPort(port, NULL, 7, 0);
    struct message message;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        uint64_t ticket = filter_asks(number, i, 8, FOR_EVER);
        if (i % 2 == 0) {
            CHECK_HR(FilterGetMessage(port, &message.header, MESSAGE_SIZE, NULL), S_OK);
        } else {
            DWORD bytes;
            ULONG_PTR key;
            LPOVERLAPPED overlapped;
            memset(&message.overlapped, 0, sizeof message.overlapped);
            CHECK_HR(FilterGetMessage(port, &message.header, MESSAGE_SIZE, &message.overlapped), W(ERROR_IO_PENDING));
            CHECK(GetQueuedCompletionStatus(completions, &bytes, &key, &overlapped, PATIENCE));
            CHECK_IS(bytes, 16 + i);
        }
        check_message(&message, i);
        CHECK_HR(reply_with(port, message.header.MessageId, 0, 8), S_OK);
        CHECK_IS(outcome(ticket).status, 0);
    }
    ULONGLONG before = GetTickCount64();
    Sleep(30);
    CHECK(GetTickCount64() - before >= 29);
    CHECK_IS(WaitForSingleObject(ping, 30), WAIT_TIMEOUT);
    CHECK(GetTickCount64() - before >= 59);
    join(answerer);
    stop = 1;
    join(storm);
    CHECK(signals > 10);
    CHECK(CloseHandle(port) && CloseHandle(completions) && CloseHandle(ping) && CloseHandle(pong));
}
