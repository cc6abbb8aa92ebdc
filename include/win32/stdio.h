/* The C library's stdio.h, with a printf that knows %ws, %S, %I64x and %Ix, and wide strings of 16 bits.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef FLTWIN32_STDIO_H
#define FLTWIN32_STDIO_H

#include "redirect.h"

#ifdef FLTWIN32_SHORT_WCHAR
#define printf fltwin32_libc_printf
#define fprintf fltwin32_libc_fprintf
#define sprintf fltwin32_libc_sprintf
#define snprintf fltwin32_libc_snprintf
#define vprintf fltwin32_libc_vprintf
#define vfprintf fltwin32_libc_vfprintf
#define vsprintf fltwin32_libc_vsprintf
#define vsnprintf fltwin32_libc_vsnprintf
#endif
#pragma GCC system_header
#include_next <stdio.h>
#ifdef FLTWIN32_SHORT_WCHAR
#undef printf
#undef fprintf
#undef sprintf
#undef snprintf
#undef vprintf
#undef vfprintf
#undef vsprintf
#undef vsnprintf
#endif

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>

#ifdef FLTWIN32_SHORT_WCHAR
FLTWIN32_C int printf(const char *format, ...) FLTWIN32_SYMBOL(printf);
FLTWIN32_C int fprintf(FILE *file, const char *format, ...) FLTWIN32_SYMBOL(fprintf);
FLTWIN32_C int sprintf(char *buffer, const char *format, ...) FLTWIN32_SYMBOL(sprintf);
FLTWIN32_C int snprintf(char *buffer, size_t size, const char *format, ...) FLTWIN32_SYMBOL(snprintf);
FLTWIN32_C int vprintf(const char *format, va_list list) FLTWIN32_SYMBOL(vprintf);
FLTWIN32_C int vfprintf(FILE *file, const char *format, va_list list) FLTWIN32_SYMBOL(vfprintf);
FLTWIN32_C int vsprintf(char *buffer, const char *format, va_list list) FLTWIN32_SYMBOL(vsprintf);
FLTWIN32_C int vsnprintf(char *buffer, size_t size, const char *format, va_list list) FLTWIN32_SYMBOL(vsnprintf);
#endif

/* Those of Windows' C library. */
FLTWIN32_C int sprintf_s(char *buffer, size_t size, const char *format, ...);
FLTWIN32_C int vsprintf_s(char *buffer, size_t size, const char *format, va_list list);
FLTWIN32_C int _snprintf(char *buffer, size_t size, const char *format, ...);
FLTWIN32_C int _vsnprintf(char *buffer, size_t size, const char *format, va_list list);
FLTWIN32_C int _snprintf_s(char *buffer, size_t size, size_t count, const char *format, ...);
FLTWIN32_C int _vsnprintf_s(char *buffer, size_t size, size_t count, const char *format, va_list list);
FLTWIN32_C int _scprintf(const char *format, ...);
FLTWIN32_C int _vscprintf(const char *format, va_list list);
#define printf_s printf
#define fprintf_s fprintf
#define vprintf_s vprintf
#define vfprintf_s vfprintf
#define _fileno fileno

static inline int fopen_s(FILE **file, const char *name, const char *mode) {
    if (file == NULL || name == NULL || mode == NULL)
        return EINVAL;
    *file = fopen(name, mode);
    return *file == NULL ? errno : 0;
}

static inline char *gets_s(char *buffer, size_t size) {
    if (buffer == NULL || size == 0 || fgets(buffer, (int)size, stdin) == NULL)
        return NULL;
    for (size_t at = 0; buffer[at] != 0; at++) {
        if (buffer[at] == '\n')
            buffer[at] = 0;
    }
    return buffer;
}

#include <wchar.h>

#endif
