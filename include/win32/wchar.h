/* The C library's wchar.h, for characters of 16 bits.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef FLTWIN32_WCHAR_H
#define FLTWIN32_WCHAR_H

#include "redirect.h"

#ifdef FLTWIN32_SHORT_WCHAR
#define wcslen fltwin32_libc_wcslen
#define wcsnlen fltwin32_libc_wcsnlen
#define wcscpy fltwin32_libc_wcscpy
#define wcsncpy fltwin32_libc_wcsncpy
#define wcscat fltwin32_libc_wcscat
#define wcsncat fltwin32_libc_wcsncat
#define wcscmp fltwin32_libc_wcscmp
#define wcsncmp fltwin32_libc_wcsncmp
#define wcsspn fltwin32_libc_wcsspn
#define wcscspn fltwin32_libc_wcscspn
#define wcstok fltwin32_libc_wcstok
#define wmemcpy fltwin32_libc_wmemcpy
#define wmemset fltwin32_libc_wmemset
#define wmemcmp fltwin32_libc_wmemcmp
#define wcstol fltwin32_libc_wcstol
#define wcstoul fltwin32_libc_wcstoul
#define wcstoll fltwin32_libc_wcstoll
#define wcstoull fltwin32_libc_wcstoull
#define wcstod fltwin32_libc_wcstod
#define wcschr fltwin32_libc_wcschr
#define wcsrchr fltwin32_libc_wcsrchr
#define wcsstr fltwin32_libc_wcsstr
#define wcspbrk fltwin32_libc_wcspbrk
#define wmemchr fltwin32_libc_wmemchr
#define wprintf fltwin32_libc_wprintf
#define fwprintf fltwin32_libc_fwprintf
#define swprintf fltwin32_libc_swprintf
#define vwprintf fltwin32_libc_vwprintf
#define vfwprintf fltwin32_libc_vfwprintf
#define vswprintf fltwin32_libc_vswprintf
#define wmemmove fltwin32_libc_wmemmove
#define wcsdup fltwin32_libc_wcsdup
#define fputws fltwin32_libc_fputws
#define fgetws fltwin32_libc_fgetws
#define wcscoll fltwin32_libc_wcscoll
#define wcsxfrm fltwin32_libc_wcsxfrm
#define wcsftime fltwin32_libc_wcsftime
#define wscanf fltwin32_libc_wscanf
#define fwscanf fltwin32_libc_fwscanf
#define swscanf fltwin32_libc_swscanf
#define vwscanf fltwin32_libc_vwscanf
#define vfwscanf fltwin32_libc_vfwscanf
#define vswscanf fltwin32_libc_vswscanf
#define mbrtowc fltwin32_libc_mbrtowc
#define wcrtomb fltwin32_libc_wcrtomb
#define mbsrtowcs fltwin32_libc_mbsrtowcs
#define wcsrtombs fltwin32_libc_wcsrtombs
#define wcstof fltwin32_libc_wcstof
#define wcstold fltwin32_libc_wcstold
#define putwc fltwin32_libc_putwc
#define fputwc fltwin32_libc_fputwc
#define putwchar fltwin32_libc_putwchar
#endif
#pragma GCC system_header
#include_next <wchar.h>
#ifdef FLTWIN32_SHORT_WCHAR
#undef wcslen
#undef wcsnlen
#undef wcscpy
#undef wcsncpy
#undef wcscat
#undef wcsncat
#undef wcscmp
#undef wcsncmp
#undef wcsspn
#undef wcscspn
#undef wcstok
#undef wmemcpy
#undef wmemset
#undef wmemcmp
#undef wcstol
#undef wcstoul
#undef wcstoll
#undef wcstoull
#undef wcstod
#undef wcschr
#undef wcsrchr
#undef wcsstr
#undef wcspbrk
#undef wmemchr
#undef wprintf
#undef fwprintf
#undef swprintf
#undef vwprintf
#undef vfwprintf
#undef vswprintf
#undef wmemmove
#undef wcsdup
#undef fputws
#undef fgetws
#undef wcscoll
#undef wcsxfrm
#undef wcsftime
#undef wscanf
#undef fwscanf
#undef swscanf
#undef vwscanf
#undef vfwscanf
#undef vswscanf
#undef mbrtowc
#undef wcrtomb
#undef mbsrtowcs
#undef wcsrtombs
#undef wcstof
#undef wcstold
#undef putwc
#undef fputwc
#undef putwchar
#endif

#include <stdarg.h>
#include <stddef.h>
#include <wctype.h>

#ifdef FLTWIN32_SHORT_WCHAR
#include <stdio.h>
#ifdef __cplusplus
#define FLTWIN32_WCSDUP noexcept(true) __asm__("_wcsdup")
#else
#define FLTWIN32_WCSDUP __asm__("_wcsdup") __attribute__((nothrow))
#endif

FLTWIN32_C size_t wcslen(const wchar_t *text) FLTWIN32_NOTHROW_SYMBOL(wcslen);
FLTWIN32_C size_t wcsnlen(const wchar_t *text, size_t limit) FLTWIN32_NOTHROW_SYMBOL(wcsnlen);
FLTWIN32_C wchar_t *wcscpy(wchar_t *to, const wchar_t *from) FLTWIN32_NOTHROW_SYMBOL(wcscpy);
FLTWIN32_C wchar_t *wcsncpy(wchar_t *to, const wchar_t *from, size_t count) FLTWIN32_NOTHROW_SYMBOL(wcsncpy);
FLTWIN32_C wchar_t *wcscat(wchar_t *to, const wchar_t *from) FLTWIN32_NOTHROW_SYMBOL(wcscat);
FLTWIN32_C wchar_t *wcsncat(wchar_t *to, const wchar_t *from, size_t count) FLTWIN32_NOTHROW_SYMBOL(wcsncat);
FLTWIN32_C int wcscmp(const wchar_t *one, const wchar_t *other) FLTWIN32_NOTHROW_SYMBOL(wcscmp);
FLTWIN32_C int wcsncmp(const wchar_t *one, const wchar_t *other, size_t count) FLTWIN32_NOTHROW_SYMBOL(wcsncmp);
FLTWIN32_C size_t wcsspn(const wchar_t *text, const wchar_t *of) FLTWIN32_NOTHROW_SYMBOL(wcsspn);
FLTWIN32_C size_t wcscspn(const wchar_t *text, const wchar_t *of) FLTWIN32_NOTHROW_SYMBOL(wcscspn);
FLTWIN32_C wchar_t *wcstok(wchar_t *text, const wchar_t *of, wchar_t **state) FLTWIN32_NOTHROW_SYMBOL(wcstok);
FLTWIN32_C wchar_t *wmemcpy(wchar_t *to, const wchar_t *from, size_t count) FLTWIN32_NOTHROW_SYMBOL(wmemcpy);
FLTWIN32_C wchar_t *wmemset(wchar_t *to, wchar_t character, size_t count) FLTWIN32_NOTHROW_SYMBOL(wmemset);
FLTWIN32_C int wmemcmp(const wchar_t *one, const wchar_t *other, size_t count) FLTWIN32_NOTHROW_SYMBOL(wmemcmp);
FLTWIN32_C long wcstol(const wchar_t *text, wchar_t **end, int base) FLTWIN32_NOTHROW_SYMBOL(wcstol);
FLTWIN32_C unsigned long wcstoul(const wchar_t *text, wchar_t **end, int base) FLTWIN32_NOTHROW_SYMBOL(wcstoul);
FLTWIN32_C long long wcstoll(const wchar_t *text, wchar_t **end, int base) FLTWIN32_NOTHROW_SYMBOL(wcstoll);
FLTWIN32_C unsigned long long wcstoull(const wchar_t *text, wchar_t **end, int base) FLTWIN32_NOTHROW_SYMBOL(wcstoull);
FLTWIN32_C double wcstod(const wchar_t *text, wchar_t **end) FLTWIN32_NOTHROW_SYMBOL(wcstod);
FLTWIN32_C wchar_t *wmemmove(wchar_t *to, const wchar_t *from, size_t count) FLTWIN32_NOTHROW_SYMBOL(wmemcpy);
FLTWIN32_C wchar_t *wcsdup(const wchar_t *text) FLTWIN32_WCSDUP;
#ifdef __cplusplus
/* So that the headers of C++ do not add these themselves. */
#ifndef __CORRECT_ISO_CPP_WCHAR_H_PROTO
#define __CORRECT_ISO_CPP_WCHAR_H_PROTO
#endif
extern "C++" const wchar_t *wcschr(const wchar_t *text, wchar_t character) FLTWIN32_NOTHROW_SYMBOL(wcschr);
extern "C++" wchar_t *wcschr(wchar_t *text, wchar_t character) FLTWIN32_NOTHROW_SYMBOL(wcschr);
extern "C++" const wchar_t *wcsrchr(const wchar_t *text, wchar_t character) FLTWIN32_NOTHROW_SYMBOL(wcsrchr);
extern "C++" wchar_t *wcsrchr(wchar_t *text, wchar_t character) FLTWIN32_NOTHROW_SYMBOL(wcsrchr);
extern "C++" const wchar_t *wcsstr(const wchar_t *text, const wchar_t *part) FLTWIN32_NOTHROW_SYMBOL(wcsstr);
extern "C++" wchar_t *wcsstr(wchar_t *text, const wchar_t *part) FLTWIN32_NOTHROW_SYMBOL(wcsstr);
extern "C++" const wchar_t *wcspbrk(const wchar_t *text, const wchar_t *of) FLTWIN32_NOTHROW_SYMBOL(wcspbrk);
extern "C++" wchar_t *wcspbrk(wchar_t *text, const wchar_t *of) FLTWIN32_NOTHROW_SYMBOL(wcspbrk);
extern "C++" const wchar_t *wmemchr(const wchar_t *text, wchar_t character, size_t count) FLTWIN32_NOTHROW_SYMBOL(wmemchr);
extern "C++" wchar_t *wmemchr(wchar_t *text, wchar_t character, size_t count) FLTWIN32_NOTHROW_SYMBOL(wmemchr);
#else
extern wchar_t *wcschr(const wchar_t *text, wchar_t character) FLTWIN32_NOTHROW_SYMBOL(wcschr);
extern wchar_t *wcsrchr(const wchar_t *text, wchar_t character) FLTWIN32_NOTHROW_SYMBOL(wcsrchr);
extern wchar_t *wcsstr(const wchar_t *text, const wchar_t *part) FLTWIN32_NOTHROW_SYMBOL(wcsstr);
extern wchar_t *wcspbrk(const wchar_t *text, const wchar_t *of) FLTWIN32_NOTHROW_SYMBOL(wcspbrk);
extern wchar_t *wmemchr(const wchar_t *text, wchar_t character, size_t count) FLTWIN32_NOTHROW_SYMBOL(wmemchr);
#endif
FLTWIN32_C int wprintf(const wchar_t *format, ...) FLTWIN32_SYMBOL(wprintf);
FLTWIN32_C int fwprintf(FILE *file, const wchar_t *format, ...) FLTWIN32_SYMBOL(fwprintf);
FLTWIN32_C int swprintf(wchar_t *buffer, size_t size, const wchar_t *format, ...) FLTWIN32_SYMBOL(swprintf);
FLTWIN32_C int vwprintf(const wchar_t *format, va_list list) FLTWIN32_SYMBOL(vwprintf);
FLTWIN32_C int vfwprintf(FILE *file, const wchar_t *format, va_list list) FLTWIN32_SYMBOL(vfwprintf);
FLTWIN32_C int vswprintf(wchar_t *buffer, size_t size, const wchar_t *format, va_list list) FLTWIN32_SYMBOL(vswprintf);
FLTWIN32_C int fputws(const wchar_t *text, FILE *file) FLTWIN32_SYMBOL(fputws);
FLTWIN32_C wchar_t *fgetws(wchar_t *buffer, int size, FILE *file) FLTWIN32_SYMBOL(fgetws);

/* The C library's own would take characters of 32 bits. */
#define FLTWIN32_MISSING __attribute__((error("not in libfltwin32: the C library's takes 32-bit characters")))
struct tm;
FLTWIN32_C int wcscoll(const wchar_t *, const wchar_t *) FLTWIN32_NOTHROW FLTWIN32_MISSING;
FLTWIN32_C size_t wcsxfrm(wchar_t *, const wchar_t *, size_t) FLTWIN32_NOTHROW FLTWIN32_MISSING;
FLTWIN32_C size_t wcsftime(wchar_t *, size_t, const wchar_t *, const struct tm *) FLTWIN32_NOTHROW FLTWIN32_MISSING;
FLTWIN32_C int wscanf(const wchar_t *, ...) FLTWIN32_MISSING;
FLTWIN32_C int fwscanf(FILE *, const wchar_t *, ...) FLTWIN32_MISSING;
FLTWIN32_C int swscanf(const wchar_t *, const wchar_t *, ...) FLTWIN32_MISSING;
FLTWIN32_C int vwscanf(const wchar_t *, va_list) FLTWIN32_MISSING;
FLTWIN32_C int vfwscanf(FILE *, const wchar_t *, va_list) FLTWIN32_MISSING;
FLTWIN32_C int vswscanf(const wchar_t *, const wchar_t *, va_list) FLTWIN32_MISSING;
FLTWIN32_C size_t mbrtowc(wchar_t *, const char *, size_t, mbstate_t *) FLTWIN32_NOTHROW FLTWIN32_MISSING;
FLTWIN32_C size_t wcrtomb(char *, wchar_t, mbstate_t *) FLTWIN32_NOTHROW FLTWIN32_MISSING;
FLTWIN32_C size_t mbsrtowcs(wchar_t *, const char **, size_t, mbstate_t *) FLTWIN32_NOTHROW FLTWIN32_MISSING;
FLTWIN32_C size_t wcsrtombs(char *, const wchar_t **, size_t, mbstate_t *) FLTWIN32_NOTHROW FLTWIN32_MISSING;
FLTWIN32_C float wcstof(const wchar_t *, wchar_t **) FLTWIN32_NOTHROW FLTWIN32_MISSING;
FLTWIN32_C long double wcstold(const wchar_t *, wchar_t **) FLTWIN32_NOTHROW FLTWIN32_MISSING;
FLTWIN32_C wint_t putwc(wchar_t, FILE *) FLTWIN32_MISSING;
FLTWIN32_C wint_t fputwc(wchar_t, FILE *) FLTWIN32_MISSING;
FLTWIN32_C wint_t putwchar(wchar_t) FLTWIN32_MISSING;

/* Those of Windows' C library. */
FLTWIN32_C int swprintf_s(wchar_t *buffer, size_t size, const wchar_t *format, ...);
FLTWIN32_C int vswprintf_s(wchar_t *buffer, size_t size, const wchar_t *format, va_list list);
FLTWIN32_C int _snwprintf(wchar_t *buffer, size_t size, const wchar_t *format, ...);
FLTWIN32_C int _vsnwprintf(wchar_t *buffer, size_t size, const wchar_t *format, va_list list);
FLTWIN32_C int _snwprintf_s(wchar_t *buffer, size_t size, size_t count, const wchar_t *format, ...);
FLTWIN32_C int _vsnwprintf_s(wchar_t *buffer, size_t size, size_t count, const wchar_t *format, va_list list);
FLTWIN32_C int _scwprintf(const wchar_t *format, ...);
FLTWIN32_C int _vscwprintf(const wchar_t *format, va_list list);
FLTWIN32_C int _wcsicmp(const wchar_t *one, const wchar_t *other);
FLTWIN32_C int _wcsnicmp(const wchar_t *one, const wchar_t *other, size_t count);
FLTWIN32_C wchar_t *_wcsdup(const wchar_t *text);
FLTWIN32_C wchar_t *_wcslwr(wchar_t *text);
FLTWIN32_C wchar_t *_wcsupr(wchar_t *text);
FLTWIN32_C int wcscpy_s(wchar_t *to, size_t size, const wchar_t *from);
FLTWIN32_C int wcsncpy_s(wchar_t *to, size_t size, const wchar_t *from, size_t count);
FLTWIN32_C int wcscat_s(wchar_t *to, size_t size, const wchar_t *from);
FLTWIN32_C int wcsncat_s(wchar_t *to, size_t size, const wchar_t *from, size_t count);
FLTWIN32_C int _wtoi(const wchar_t *text);
FLTWIN32_C long long _wtoi64(const wchar_t *text);
FLTWIN32_C FILE *_wfopen(const wchar_t *name, const wchar_t *mode);
FLTWIN32_C int _wfopen_s(FILE **file, const wchar_t *name, const wchar_t *mode);
FLTWIN32_C int _putws(const wchar_t *text);
#define wcstok_s wcstok
#define wcsnlen_s wcsnlen
#define wcsicmp _wcsicmp
#define wcsnicmp _wcsnicmp
#define wcslwr _wcslwr
#define wcsupr _wcsupr
#define wprintf_s wprintf
#define fwprintf_s fwprintf
#define wmemcpy_s(to, size, from, count) ((count) > (size) ? ERANGE : (wmemcpy((to), (from), (count)), 0))
#endif

#ifndef _TRUNCATE
#define _TRUNCATE ((size_t)-1)
#endif

#endif
