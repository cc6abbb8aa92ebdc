/* The C library's string.h, and what Windows' has besides.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef FLTWIN32_STRING_H
#define FLTWIN32_STRING_H

#pragma GCC system_header
#include_next <string.h>

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <strings.h>

#ifndef _TRUNCATE
#define _TRUNCATE ((size_t)-1)
#endif
#ifndef STRUNCATE
#define STRUNCATE 80
#endif

#define _stricmp strcasecmp
#define _strnicmp strncasecmp
#define _strdup strdup
#define _memicmp(one, other, count) strncasecmp((const char *)(one), (const char *)(other), (count))
#define stricmp strcasecmp
#define strnicmp strncasecmp
#define strtok_s strtok_r
#define strnlen_s strnlen
#define RtlCompareMemoryEqual(one, other, size) (!memcmp((one), (other), (size)))

static inline int strncat_s(char *to, size_t size, const char *from, size_t count) {
    if (to == NULL || size == 0)
        return EINVAL;
    size_t before = strnlen(to, size);
    if (from == NULL || before == size) {
        to[0] = 0;
        return EINVAL;
    }
    size_t room = size - before;
    size_t length = strnlen(from, count < room ? count : room);
    if (length == room && count != _TRUNCATE) {
        to[0] = 0;
        return ERANGE;
    }
    size_t fits = length < room ? length : room - 1;
    memcpy(to + before, from, fits);
    to[before + fits] = 0;
    return fits < length ? STRUNCATE : 0;
}

static inline int strncpy_s(char *to, size_t size, const char *from, size_t count) {
    if (to != NULL && size != 0)
        to[0] = 0;
    return strncat_s(to, size, from, count);
}

static inline int strcat_s(char *to, size_t size, const char *from) {
    return strncat_s(to, size, from, _TRUNCATE - 1);
}

static inline int strcpy_s(char *to, size_t size, const char *from) {
    return strncpy_s(to, size, from, _TRUNCATE - 1);
}

static inline int memcpy_s(void *to, size_t size, const void *from, size_t count) {
    if (count == 0)
        return 0;
    if (to == NULL || from == NULL || count > size) {
        if (to != NULL)
            memset(to, 0, size);
        return from == NULL || to == NULL ? EINVAL : ERANGE;
    }
    memcpy(to, from, count);
    return 0;
}

static inline int memmove_s(void *to, size_t size, const void *from, size_t count) {
    if (count == 0)
        return 0;
    if (to == NULL || from == NULL)
        return EINVAL;
    if (count > size)
        return ERANGE;
    memmove(to, from, count);
    return 0;
}

static inline char *_strlwr(char *text) {
    for (char *at = text; *at != 0; at++)
        *at = (char)tolower((unsigned char)*at);
    return text;
}

static inline char *_strupr(char *text) {
    for (char *at = text; *at != 0; at++)
        *at = (char)toupper((unsigned char)*at);
    return text;
}

#endif
