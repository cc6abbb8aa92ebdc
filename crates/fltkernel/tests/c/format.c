/* Texts made of formats, compared with what the kernel makes of them. */
#include <ntifs.h>
#include <ntstrsafe.h>

int puts(const char *);

static int failed;

static void expect(const char *got, const char *wanted)
{
    if (strcmp(got, wanted)) {
        puts(got);
        puts(wanted);
        failed = 1;
    }
}

#define CASE(wanted, ...) do { char text[256]; fk_snprintf(text, sizeof text, __VA_ARGS__); expect(text, wanted); } while (0)
#define WIDE(wanted, ...) do { \
        WCHAR text[256]; \
        char narrow[256]; \
        fk_snwprintf(text, 256, __VA_ARGS__); \
        fk_snprintf(narrow, sizeof narrow, "%ws", text); \
        expect(narrow, wanted); \
    } while (0)

static NTSTATUS with_list(PWSTR to, size_t size, PCWSTR format, ...)
{
    va_list list;
    NTSTATUS status;
    va_start(list, format);
    status = RtlStringCbVPrintfW(to, size, format, list);
    va_end(list);
    return status;
}

int main(void)
{
    UNICODE_STRING wide = RTL_CONSTANT_STRING(L"wide text");
    ANSI_STRING narrow = RTL_CONSTANT_STRING("narrow");
    CASE("-5 5 ff FF 17 0xff", "%d %u %x %X %o %#x", -5, 5, 255, 255, 15, 255);
    CASE("  42|42  |0042|+42", "%4d|%-4d|%04d|%+d", 42, 42, 42, 42);
    CASE("4294967295 -1", "%lu %ld", 0xFFFFFFFFU, -1);
    CASE("18446744073709551615 ffffffffffffffff", "%I64u %llx", ~0ULL, ~0ULL);
    CASE("000000000000ABCD", "%p", (PVOID)0xABCD);
    CASE("a wide text narrow", "%c %wZ %Z", 'a', &wide, &narrow);
    CASE("wide wide wide s", "%ws %ls %S %s", L"wide", L"wide", L"wide", "s");
    CASE("(null) (null)", "%s %wZ", (char *)NULL, (PUNICODE_STRING)NULL);
    CASE("ab|  ab|ab  |", "%.2s|%4.2s|%-4.2s|", "abc", "abc", "abc");
    CASE("7|  7", "%*d|%*d", 1, 7, 3, 7);
    CASE("100%", "%d%%", 100);
    CASE("1 2 3 4 5 6 7 8 9", "%d %d %d %d %d %d %d %d %d", 1, 2, 3, 4, 5, 6, 7, 8, 9);
    CASE("ff ffff", "%hhx %hx", 0x1FF, 0x1FFFF);
    WIDE("wide narrow wide", L"%s %S %ws", L"wide", "narrow", L"wide");
    {
        WCHAR text[4];
        char shown[16];
        LONG length;
        if (RtlStringCbPrintfW(text, sizeof text, L"%d", 12345) != STATUS_BUFFER_OVERFLOW) failed = 1;
        fk_snprintf(shown, sizeof shown, "%ws", text);
        expect(shown, "123");
        if (with_list(text, sizeof text, L"%c%d", 'x', 7) != STATUS_SUCCESS) failed = 1;
        fk_snprintf(shown, sizeof shown, "%ws", text);
        expect(shown, "x7");
        length = _snwprintf(text, 4, L"%d", 12345);
        if (length != -1) failed = 1;
    }
    {
        WCHAR text[16], *end;
        size_t left;
        if (RtlStringCchPrintfExW(text, 16, &end, &left, 0, L"%d-%d-%d", 1, 2, 3) != STATUS_SUCCESS) failed = 1;
        if (end != text + 5 || left != 11) failed = 1;
    }
    {
        /* minispy builds its log so: the text is its own first argument */
        WCHAR text[32] = L"one";
        char shown[64];
        _snwprintf(text, 32, L"%s two", text);
        fk_snprintf(shown, sizeof shown, "%ws", text);
        expect(shown, "one two");
    }
    DbgPrint("%d %s\n", 7, "seven");
    return failed;
}
