/* Text: strings of 16-bit characters, what printf knows of Windows, conversions, messages of errors. */
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

/* That printing gives a text. */
#define PRINTS(should, ...)                                                                 \
    do {                                                                                    \
        char is_[256];                                                                      \
        int length_ = snprintf(is_, sizeof is_, __VA_ARGS__);                               \
        if (strcmp(is_, should) != 0 || length_ != (int)strlen(should))                     \
            failed(__FILE__, __LINE__, "\"%s\" (%d), not \"%s\"", is_, length_, should);    \
    } while (0)
#define PRINTS_WIDE(should, ...)                                                            \
    do {                                                                                    \
        wchar_t is_[256];                                                                   \
        int length_ = swprintf(is_, 256, __VA_ARGS__);                                      \
        if (wcscmp(is_, should) != 0 || length_ != (int)wcslen(should))                     \
            failed(__FILE__, __LINE__, "\"%ls\" (%d), not \"%ls\"", is_, length_, should);  \
    } while (0)

TEST(wide_characters_have_16_bits) {
    CHECK_IS(sizeof(WCHAR), 2);
    CHECK_IS(sizeof L"\\ScannerPort", 26);
    CHECK_IS(wcslen(L"\\ScannerPort"), 12);
    CHECK_IS(wcslen(L"\U0001F600"), 2);
}

TEST(printf_knows_wide_strings) {
    PRINTS("a \\ScannerPort b", "a %ws b", L"\\ScannerPort");
    PRINTS("a \\ScannerPort b", "a %S b", L"\\ScannerPort");
    PRINTS("a \\ScannerPort b", "a %ls b", L"\\ScannerPort");
    PRINTS("a narrow b", "a %hs b", "narrow");
    PRINTS("a narrow b", "a %s b", "narrow");
    PRINTS("  abc|abc  |ab", "%5ws|%-5S|%.2ls", L"abc", L"abc", L"abc");
    PRINTS("x y", "%wc %C", L'x', L'y');
    PRINTS("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", "%ws", L"\u00e9\u20ac\U0001F600");
    PRINTS("(null) (null)", "%s %ws", (char *)NULL, (wchar_t *)NULL);
}

TEST(printf_knows_sizes_of_windows) {
    PRINTS("deadbeefcafe", "%I64x", (ULONGLONG)0xDEADBEEFCAFE);
    PRINTS("-5 18446744073709551611", "%I64d %I64u", (LONGLONG)-5, (ULONGLONG)-5);
    PRINTS("7FFFFFFFFFFFFFFF", "%IX", (SIZE_T)0x7FFFFFFFFFFFFFFF);
    PRINTS("abc 12 -12", "%Ix %Iu %Id", (SIZE_T)0xABC, (SIZE_T)12, (LONG_PTR)-12);
    PRINTS("0000002a 2A", "%08I32x %I32X", 42, 42);
    PRINTS("-1 4294967295 ffffffff", "%ld %lu %lx", (LONG)-1, (ULONG)-1, (ULONG)-1);
    PRINTS("-1 4294967295", "%li %lu", (LONG)-1, (DWORD)0xFFFFFFFF);
    PRINTS("123456789012 9", "%lld %hhu", 123456789012LL, 9);
    PRINTS("-1 7", "%hd %hu", 0xFFFF, 0x10007);
    PRINTS("000000000000BEEF", "%p", (void *)0xBEEF);
    PRINTS("0x2a 0X2A 052", "%#x %#X %#o", 42, 42, 42);
    PRINTS("[   42][42   ][00042][+42]", "[%5d][%-5d][%05d][%+d]", 42, 42, 42, 42);
    PRINTS("[   42][042]", "[%*d][%.*d]", 5, 42, 3, 42);
    PRINTS("3.50 1e+10 0.1", "%.2f %g %g", 3.5, 1e10, 0.1);
    PRINTS("100%", "%d%%", 100);
}

TEST(wide_printf_takes_wide_strings_by_s) {
    PRINTS_WIDE(L"a wide b", L"a %s b", L"wide");
    PRINTS_WIDE(L"a wide b", L"a %ws b", L"wide");
    PRINTS_WIDE(L"a wide b", L"a %ls b", L"wide");
    PRINTS_WIDE(L"a narrow b", L"a %S b", "narrow");
    PRINTS_WIDE(L"a narrow b", L"a %hs b", "narrow");
    PRINTS_WIDE(L"c C", L"%c %C", L'c', 'C');
    PRINTS_WIDE(L"00000000DEADBEEF", L"%016I64X", (ULONGLONG)0xDEADBEEF);
    PRINTS_WIDE(L"\u20ac1", L"%s%d", L"\u20ac", 1);
}

TEST(printf_that_does_not_fit_says_how_long_it_is) {
    char narrow[4] = "zzz";
    CHECK_IS(snprintf(narrow, sizeof narrow, "%s", "abcdef"), 6);
    CHECK_IS(strcmp(narrow, "abc"), 0);
    CHECK_IS(snprintf(NULL, 0, "%ws", L"abcdef"), 6);
    CHECK_IS(_snprintf(narrow, sizeof narrow, "%s", "abcdef"), -1);
    CHECK_IS(memcmp(narrow, "abcd", 4), 0);
    CHECK_IS(_snprintf_s(narrow, sizeof narrow, _TRUNCATE, "%s", "abcdef"), -1);
    CHECK_IS(strcmp(narrow, "abc"), 0);
    CHECK_IS(sprintf_s(narrow, sizeof narrow, "%s", "abc"), 3);
    CHECK_IS(sprintf_s(narrow, sizeof narrow, "%s", "abcd"), -1);
    CHECK_IS(narrow[0], 0);
    CHECK_IS(_scprintf("%ws", L"abcdef"), 6);
    wchar_t wide[4];
    CHECK_IS(swprintf(wide, 4, L"%s", L"abcdef"), -1);
    CHECK_IS(swprintf_s(wide, 4, L"%s", L"abc"), 3);
    CHECK_IS(_scwprintf(L"%s!", L"abcdef"), 7);
}

TEST(printf_never_writes_by_n) {
    int count = 77;
    char to[16];
    snprintf(to, sizeof to, "ab%n", &count);
    CHECK_IS(count, 77);
}

TEST(files_take_what_is_printed) {
    FILE *file = tmpfile();
    CHECK(file != NULL);
    CHECK_IS(fprintf(file, "%ws\n", L"narrow \u00e9"), 10);
    CHECK(fwprintf(file, L"%s\n", L"wide \u00e9") > 0);
    CHECK(fputws(L"third\n", file) >= 0);
    rewind(file);
    char line[32];
    CHECK(fgets(line, sizeof line, file) != NULL && strcmp(line, "narrow \xC3\xA9\n") == 0);
    wchar_t wide[32];
    CHECK(fgetws(wide, 32, file) != NULL && wcscmp(wide, L"wide \u00e9\n") == 0);
    CHECK(fgetws(wide, 32, file) != NULL && wcscmp(wide, L"third\n") == 0);
    CHECK(fgetws(wide, 32, file) == NULL);
    fclose(file);
}

TEST(strings_are_compared_without_regard_to_case) {
    CHECK_IS(_wcsicmp(L"ScannerPort", L"SCANNERport"), 0);
    CHECK(_wcsicmp(L"a", L"B") < 0 && _wcsicmp(L"b", L"A") > 0);
    CHECK_IS(_wcsnicmp(L"abcX", L"ABCy", 3), 0);
    CHECK(_wcsnicmp(L"abcX", L"ABCy", 4) < 0);
    CHECK_IS(_stricmp("exe", "EXE"), 0);
    CHECK_IS(_strnicmp("exe1", "EXE2", 3), 0);
    wchar_t text[] = L"MiXed";
    CHECK_IS(wcscmp(_wcslwr(text), L"mixed"), 0);
    CHECK_IS(wcscmp(_wcsupr(text), L"MIXED"), 0);
}

TEST(strings_are_searched_and_copied) {
    const wchar_t *path = L"\\Device\\HarddiskVolume1\\file.txt";
    CHECK(wcschr(path, L'H') == path + 8);
    CHECK(wcsrchr(path, L'\\') == path + 23);
    CHECK(wcsstr(path, L"Volume") == path + 16);
    CHECK(wcsstr(path, L"volume") == NULL);
    CHECK(wcspbrk(path, L".x") == path + 28);
    CHECK_IS(wcsspn(L"aabbc", L"ab"), 4);
    CHECK_IS(wcscspn(L"aabbc", L"c"), 4);
    CHECK_IS(wcsncmp(L"abcd", L"abce", 3), 0);
    CHECK_IS(wcsnlen(path, 5), 5);
    wchar_t to[16];
    CHECK(wcsncpy(to, L"ab", 5) == to);
    CHECK(to[2] == 0 && to[4] == 0);
    CHECK(wcscat(to, L"cd") == to && wcscmp(to, L"abcd") == 0);
    CHECK(wcsncat(to, L"efgh", 2) == to && wcscmp(to, L"abcdef") == 0);
    wchar_t *copy = _wcsdup(path);
    CHECK(copy != NULL && wcscmp(copy, path) == 0);
    free(copy);
    wchar_t words[] = L"a,b;;c", *rest, *word = wcstok(words, L",;", &rest);
    CHECK(wcscmp(word, L"a") == 0);
    CHECK(wcscmp(wcstok(NULL, L",;", &rest), L"b") == 0);
    CHECK(wcscmp(wcstok(NULL, L",;", &rest), L"c") == 0);
    CHECK(wcstok(NULL, L",;", &rest) == NULL);
}

TEST(numbers_are_read_from_wide_strings) {
    wchar_t *end;
    CHECK_IS(wcstol(L" -42x", &end, 10), -42);
    CHECK_IS(*end, 'x');
    CHECK_IS(wcstoul(L"0xFFFFFFFF", NULL, 16), 0xFFFFFFFF);
    CHECK_IS(wcstoull(L"18446744073709551615", NULL, 10), -1);
    CHECK_IS(wcstol(L"0x1F", NULL, 0), 31);
    CHECK_IS(_wtoi(L"77 bottles"), 77);
    CHECK_IS(_wtoi64(L"-123456789012"), -123456789012);
    CHECK(wcstod(L"2.5e1", NULL) == 25.0);
    errno = 0;
    CHECK_IS(wcstoll(L"99999999999999999999", NULL, 10), INT64_MAX);
    CHECK_IS(errno, ERANGE);
}

TEST(safe_copies_empty_what_does_not_fit) {
    wchar_t to[4] = L"xyz";
    CHECK_IS(wcscpy_s(to, 4, L"abc"), 0);
    CHECK_IS(wcscpy_s(to, 4, L"abcd"), ERANGE);
    CHECK_IS(to[0], 0);
    CHECK_IS(wcscpy_s(to, 4, NULL), EINVAL);
    CHECK_IS(wcscpy_s(NULL, 4, L"a"), EINVAL);
    CHECK_IS(wcsncpy_s(to, 4, L"abcdef", 3), 0);
    CHECK_IS(wcscmp(to, L"abc"), 0);
    CHECK_IS(wcsncpy_s(to, 4, L"abcdef", _TRUNCATE), STRUNCATE);
    CHECK_IS(wcscat_s(to, 4, L"d"), ERANGE);
    CHECK_IS(wcscpy_s(to, 4, L"a"), 0);
    CHECK_IS(wcsncat_s(to, 4, L"bcdef", 2), 0);
    CHECK_IS(wcscmp(to, L"abc"), 0);
    char narrow[4];
    CHECK_IS(strcpy_s(narrow, sizeof narrow, "abcd"), ERANGE);
    CHECK_IS(narrow[0], 0);
    CHECK_IS(strncpy_s(narrow, sizeof narrow, "abcdef", _TRUNCATE), STRUNCATE);
    CHECK_IS(strcmp(narrow, "abc"), 0);
    CHECK_IS(strcat_s(narrow, sizeof narrow, "d"), ERANGE);
    CHECK_IS(memcpy_s(narrow, sizeof narrow, "abcde", 5), ERANGE);
    CHECK_IS(narrow[0], 0);
}

TEST(strsafe_cuts_and_says_so) {
    wchar_t to[6];
    CHECK_HR(StringCchCopyW(to, 6, L"abcde"), S_OK);
    CHECK_HR(StringCchCopyW(to, 6, L"abcdef"), STRSAFE_E_INSUFFICIENT_BUFFER);
    CHECK_IS(wcscmp(to, L"abcde"), 0);
    CHECK_HR(StringCchCopyW(to, 0, L"a"), STRSAFE_E_INVALID_PARAMETER);
    CHECK_HR(StringCchCopyW(to, STRSAFE_MAX_CCH + (size_t)1, L"a"), STRSAFE_E_INVALID_PARAMETER);
    CHECK_HR(StringCbCopyW(to, sizeof to, L"abcde"), S_OK);
    CHECK_HR(StringCbCopyW(to, sizeof to - 2, L"abcde"), STRSAFE_E_INSUFFICIENT_BUFFER);
    CHECK_HR(StringCchCatW(to, 6, L"XY"), STRSAFE_E_INSUFFICIENT_BUFFER);
    CHECK_IS(wcscmp(to, L"abcdX"), 0);
    CHECK_HR(StringCchPrintfW(to, 6, L"%d-%s", 7, L"abc"), S_OK);
    CHECK_IS(wcscmp(to, L"7-abc"), 0);
    CHECK_HR(StringCchPrintfW(to, 6, L"%d-%s", 77, L"abc"), STRSAFE_E_INSUFFICIENT_BUFFER);
    CHECK_IS(wcscmp(to, L"77-ab"), 0);
    size_t length;
    CHECK_HR(StringCchLengthW(L"abc", 4, &length), S_OK);
    CHECK_IS(length, 3);
    CHECK_HR(StringCchLengthW(L"abc", 3, &length), STRSAFE_E_INVALID_PARAMETER);
    CHECK_HR(StringCbLengthW(L"abc", 8, &length), S_OK);
    CHECK_IS(length, 6);
    char narrow[6];
    CHECK_HR(StringCbPrintfA(narrow, sizeof narrow, "%ws%d", L"ab", 12), S_OK);
    CHECK_IS(strcmp(narrow, "ab12"), 0);
    CHECK_HR(StringCchPrintfA(narrow, sizeof narrow, "%s", "abcdef"), STRSAFE_E_INSUFFICIENT_BUFFER);
    CHECK_IS(strcmp(narrow, "abcde"), 0);
}

TEST(text_is_converted_both_ways) {
    const char utf8[] = "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80";
    const wchar_t wide[] = L"\u00e9\u20ac\U0001F600";
    wchar_t to_wide[8];
    char to_narrow[16];
    CHECK_IS(MultiByteToWideChar(CP_UTF8, 0, utf8, -1, NULL, 0), 5);
    CHECK_IS(MultiByteToWideChar(CP_UTF8, 0, utf8, -1, to_wide, 8), 5);
    CHECK_IS(wcscmp(to_wide, wide), 0);
    CHECK_IS(MultiByteToWideChar(CP_ACP, 0, utf8, 2, to_wide, 8), 1);
    CHECK_ERROR(MultiByteToWideChar(CP_UTF8, 0, utf8, -1, to_wide, 4), ERROR_INSUFFICIENT_BUFFER);
    CHECK_ERROR(MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, "\xFF", -1, to_wide, 8), ERROR_NO_UNICODE_TRANSLATION);
    CHECK_IS(MultiByteToWideChar(CP_UTF8, 0, "\xFF", 1, to_wide, 8), 1);
    CHECK_IS(to_wide[0], 0xFFFD);
    CHECK_ERROR(MultiByteToWideChar(CP_UTF8, 0, utf8, 0, to_wide, 8), ERROR_INVALID_PARAMETER);
    CHECK_ERROR(MultiByteToWideChar(CP_UTF8, 0, NULL, -1, to_wide, 8), ERROR_INVALID_PARAMETER);
    CHECK_IS(WideCharToMultiByte(CP_UTF8, 0, wide, -1, NULL, 0, NULL, NULL), 10);
    CHECK_IS(WideCharToMultiByte(CP_UTF8, 0, wide, -1, to_narrow, 16, NULL, NULL), 10);
    CHECK_IS(strcmp(to_narrow, utf8), 0);
    CHECK_IS(WideCharToMultiByte(CP_ACP, 0, wide, 1, to_narrow, 16, NULL, NULL), 2);
    CHECK_ERROR(WideCharToMultiByte(CP_UTF8, 0, wide, -1, to_narrow, 9, NULL, NULL), ERROR_INSUFFICIENT_BUFFER);
    const wchar_t alone[] = {0xD800, 0};
    CHECK_ERROR(WideCharToMultiByte(CP_UTF8, WC_ERR_INVALID_CHARS, alone, -1, to_narrow, 16, NULL, NULL),
                ERROR_NO_UNICODE_TRANSLATION);
    size_t converted;
    CHECK_IS(mbstowcs_s(&converted, to_wide, 8, "abc", _TRUNCATE), 0);
    CHECK_IS(converted, 4);
    CHECK_IS(wcstombs_s(&converted, to_narrow, sizeof to_narrow, wide, _TRUNCATE), 0);
    CHECK_IS(strcmp(to_narrow, utf8), 0);
    CHECK_IS(mbstowcs(to_wide, "abc", 8), 3);
    CHECK_IS(wcstombs(NULL, wide, 0), 9);
}

TEST(errors_have_messages) {
    WCHAR text[256];
    CHECK(FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, NULL, ERROR_ACCESS_DENIED, 0, text, 256,
                         NULL) > 0);
    CHECK_IS(wcscmp(text, L"Access is denied.\r\n"), 0);
    char *allocated = NULL;
    DWORD length = FormatMessageA(
        FORMAT_MESSAGE_ALLOCATE_BUFFER | FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, NULL,
        (DWORD)W(ERROR_FILE_NOT_FOUND), MAKELANGID(LANG_NEUTRAL, SUBLANG_DEFAULT), (LPSTR)&allocated, 0, NULL);
    CHECK(allocated != NULL && length == strlen(allocated) && length > 2);
    CHECK_IS(strcmp(allocated + length - 2, "\r\n"), 0);
    CHECK(LocalFree(allocated) == NULL);
    CHECK_ERROR(FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM, NULL, 0x12345678, 0, text, 256, NULL), ERROR_MR_MID_NOT_FOUND);
    CHECK_ERROR(FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM, NULL, ERROR_ACCESS_DENIED, 0, text, 5, NULL),
                ERROR_INSUFFICIENT_BUFFER);
}

/* What the filter manager's errors say, which programs look up in fltlib.dll. */
TEST(a_library_has_the_messages_of_the_filter_manager) {
    HMODULE library = LoadLibraryExW(L"fltlib.dll", NULL, LOAD_LIBRARY_AS_DATAFILE);
    CHECK(library != NULL);
    WCHAR text[256];
    CHECK(FormatMessageW(FORMAT_MESSAGE_FROM_HMODULE | FORMAT_MESSAGE_FROM_SYSTEM, library,
                         (DWORD)ERROR_FLT_NO_WAITER_FOR_REPLY, 0, text, 256, NULL) > 0);
    CHECK(FreeLibrary(library));
}

TEST(messages_take_what_is_inserted) {
    WCHAR text[64];
    DWORD_PTR arguments[] = {(DWORD_PTR)L"one", 2};
    CHECK_IS(FormatMessageW(FORMAT_MESSAGE_FROM_STRING | FORMAT_MESSAGE_ARGUMENT_ARRAY, L"%2!d! and %1%%", 0, 0, text, 64,
                            (va_list *)arguments),
             10);
    CHECK_IS(wcscmp(text, L"2 and one%"), 0);
}

static DWORD format(WCHAR *buffer, DWORD size, const WCHAR *text, ...) {
    va_list list;
    va_start(list, text);
    DWORD length = FormatMessageW(FORMAT_MESSAGE_FROM_STRING, text, 0, 0, buffer, size, &list);
    va_end(list);
    return length;
}

TEST(messages_take_their_arguments_from_a_list) {
    WCHAR text[64];
    CHECK_IS(format(text, 64, L"%1 of %2!u!: %3!05d!%n", L"file", 12, -42), 19);
    CHECK_IS(wcscmp(text, L"file of 12: -0042\r\n"), 0);
    CHECK_IS(format(text, 64, L"plain"), 5);
}
