// A C++ program: the headers beside those of the standard library, and a call of each kind.
#include <windows.h>
#include <fltuser.h>
#include <strsafe.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace {

struct Closer {
    using pointer = HANDLE;
    void operator()(HANDLE handle) const { CloseHandle(handle); }
};
using Handle = std::unique_ptr<void, Closer>;

DWORD WINAPI sets(LPVOID event) {
    return SetEvent(event) ? 7 : 0;
}

bool is_good() {
    Handle event(CreateEventW(nullptr, TRUE, FALSE, nullptr)), thread(CreateThread(nullptr, 0, sets, event.get(), 0, nullptr));
    HANDLE both[] = {event.get(), thread.get()};
    if (WaitForMultipleObjects(2, both, TRUE, 20000) != WAIT_OBJECT_0)
        return false;
    DWORD code = 0;
    if (!GetExitCodeThread(thread.get(), &code) || code != 7)
        return false;
    HANDLE port = nullptr;
    if (FilterConnectCommunicationPort(L"\\NoSuchPort", 0, nullptr, 0, nullptr, &port) != HRESULT_FROM_WIN32(ERROR_FILE_NOT_FOUND))
        return false;
    std::vector<WCHAR> text(16);
    if (FAILED(StringCchPrintfW(text.data(), text.size(), L"%d %ws", 1, L"two")) || wcscmp(text.data(), L"1 two") != 0)
        return false;
    LONG count = 0;
    return InterlockedIncrement(&count) == 1 && std::string("abc").size() == 3 && port == INVALID_HANDLE_VALUE;
}

}  // namespace

int main() {
    try {
        std::atomic<bool> good{false};
        std::thread([&] { good = is_good(); }).join();
        std::printf("%s\n", good ? "good" : "bad");
        return good ? 0 : 1;
    } catch (...) {
        return 2;
    }
}
