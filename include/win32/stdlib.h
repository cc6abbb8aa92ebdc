/* The C library's stdlib.h, with conversions to characters of 16 bits.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef FLTWIN32_STDLIB_H
#define FLTWIN32_STDLIB_H

#include "redirect.h"

#pragma GCC system_header
#ifdef FLTWIN32_SHORT_WCHAR
#include <stddef.h>
/* First, because the header of C++ puts them into its namespace. */
FLTWIN32_C size_t mbstowcs(wchar_t *to, const char *from, size_t size) FLTWIN32_NOTHROW_SYMBOL(mbstowcs);
FLTWIN32_C size_t wcstombs(char *to, const wchar_t *from, size_t size) FLTWIN32_NOTHROW_SYMBOL(wcstombs);
#define mbstowcs fltwin32_libc_mbstowcs
#define wcstombs fltwin32_libc_wcstombs
#endif
#include_next <stdlib.h>
#ifdef FLTWIN32_SHORT_WCHAR
#undef mbstowcs
#undef wcstombs
#endif

#include <errno.h>
#include <stddef.h>

#define _MAX_PATH 260
#define _MAX_DRIVE 3
#define _MAX_DIR 256
#define _MAX_FNAME 256
#define _MAX_EXT 256
#define _countof(array) (sizeof(array) / sizeof((array)[0]))
#ifndef _TRUNCATE
#define _TRUNCATE ((size_t)-1)
#endif
#define _strtoui64 strtoull
#define _strtoi64 strtoll
#define _atoi64 atoll
#define _byteswap_ushort __builtin_bswap16
#define _byteswap_ulong __builtin_bswap32
#define _byteswap_uint64 __builtin_bswap64
typedef int errno_t;

#ifdef FLTWIN32_SHORT_WCHAR
#define FLTWIN32_CONVERT(name, convert, to_type, from_type)                                              \
    static inline errno_t name(size_t *converted, to_type *to, size_t size, const from_type *from, size_t count) { \
        size_t whole = convert(NULL, from, 0);                                                           \
        if (whole == (size_t)-1)                                                                         \
            return EILSEQ;                                                                               \
        size_t length = count < whole ? count : whole;                                                   \
        if (to != NULL) {                                                                                \
            if (length >= size && count != _TRUNCATE) {                                                  \
                if (size != 0)                                                                           \
                    to[0] = 0;                                                                           \
                return ERANGE;                                                                           \
            }                                                                                            \
            length = length < size ? length : size - 1;                                                  \
            convert(to, from, length);                                                                   \
            to[length] = 0;                                                                              \
        }                                                                                                \
        if (converted != NULL)                                                                           \
            *converted = length + 1;                                                                     \
        return 0;                                                                                        \
    }
FLTWIN32_CONVERT(mbstowcs_s, mbstowcs, wchar_t, char)
FLTWIN32_CONVERT(wcstombs_s, wcstombs, char, wchar_t)
#undef FLTWIN32_CONVERT
#endif

#endif
