/* Strings that know how long they may become.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef FLTWIN32_STRSAFE_H
#define FLTWIN32_STRSAFE_H

#include "windows.h"

#define STRSAFE_MAX_CCH 2147483647
#define STRSAFE_E_INSUFFICIENT_BUFFER FLT_HRESULT(0x8007007AU)
#define STRSAFE_E_INVALID_PARAMETER FLT_HRESULT(0x80070057U)
#define STRSAFE_E_END_OF_FILE FLT_HRESULT(0x80070026U)
#define STRSAFEAPI static inline __attribute__((unused)) HRESULT

#ifdef __cplusplus
extern "C" {
#endif
/* Cut, and -1, if it does not fit. */
int fltwin32_print(char *buffer, size_t size, const char *format, ...);
int fltwin32_vprint(char *buffer, size_t size, const char *format, va_list list);
#ifdef __cplusplus
}
#endif

#define FLTWIN32_STRSAFE(A, T, vprint)                                                                      \
    STRSAFEAPI StringCchLength##A(const T *text, size_t limit, size_t *length) {                            \
        size_t at = 0;                                                                                      \
        while (text != NULL && at < limit && text[at] != 0)                                                 \
            at++;                                                                                           \
        int bad = text == NULL || at == limit || limit > STRSAFE_MAX_CCH;                                   \
        if (length != NULL)                                                                                 \
            *length = bad ? 0 : at;                                                                         \
        return bad ? STRSAFE_E_INVALID_PARAMETER : S_OK;                                                    \
    }                                                                                                       \
    STRSAFEAPI StringCchCopyN##A(T *to, size_t size, const T *from, size_t count) {                         \
        if (size == 0 || size > STRSAFE_MAX_CCH)                                                            \
            return STRSAFE_E_INVALID_PARAMETER;                                                             \
        size_t at = 0;                                                                                      \
        while (at < size - 1 && at < count && from[at] != 0) {                                              \
            to[at] = from[at];                                                                              \
            at++;                                                                                           \
        }                                                                                                   \
        to[at] = 0;                                                                                         \
        return at < count && from[at] != 0 ? STRSAFE_E_INSUFFICIENT_BUFFER : S_OK;                          \
    }                                                                                                       \
    STRSAFEAPI StringCchCopy##A(T *to, size_t size, const T *from) {                                        \
        return StringCchCopyN##A(to, size, from, STRSAFE_MAX_CCH);                                          \
    }                                                                                                       \
    STRSAFEAPI StringCchCatN##A(T *to, size_t size, const T *from, size_t count) {                          \
        size_t before;                                                                                      \
        HRESULT result = StringCchLength##A(to, size, &before);                                             \
        return FAILED(result) ? result : StringCchCopyN##A(to + before, size - before, from, count);        \
    }                                                                                                       \
    STRSAFEAPI StringCchCat##A(T *to, size_t size, const T *from) {                                         \
        return StringCchCatN##A(to, size, from, STRSAFE_MAX_CCH);                                           \
    }                                                                                                       \
    STRSAFEAPI StringCchVPrintf##A(T *to, size_t size, const T *format, va_list list) {                     \
        if (size == 0 || size > STRSAFE_MAX_CCH)                                                            \
            return STRSAFE_E_INVALID_PARAMETER;                                                             \
        return vprint(to, size, format, list) < 0 ? STRSAFE_E_INSUFFICIENT_BUFFER : S_OK;                   \
    }                                                                                                       \
    STRSAFEAPI StringCchPrintf##A(T *to, size_t size, const T *format, ...) {                               \
        va_list list;                                                                                       \
        va_start(list, format);                                                                             \
        HRESULT result = StringCchVPrintf##A(to, size, format, list);                                       \
        va_end(list);                                                                                       \
        return result;                                                                                      \
    }                                                                                                       \
    STRSAFEAPI StringCbLength##A(const T *text, size_t limit, size_t *length) {                             \
        HRESULT result = StringCchLength##A(text, limit / sizeof(T), length);                               \
        if (length != NULL)                                                                                 \
            *length *= sizeof(T);                                                                           \
        return result;                                                                                      \
    }                                                                                                       \
    STRSAFEAPI StringCbCopy##A(T *to, size_t size, const T *from) {                                         \
        return StringCchCopy##A(to, size / sizeof(T), from);                                                \
    }                                                                                                       \
    STRSAFEAPI StringCbCopyN##A(T *to, size_t size, const T *from, size_t count) {                          \
        return StringCchCopyN##A(to, size / sizeof(T), from, count / sizeof(T));                            \
    }                                                                                                       \
    STRSAFEAPI StringCbCat##A(T *to, size_t size, const T *from) {                                          \
        return StringCchCat##A(to, size / sizeof(T), from);                                                 \
    }                                                                                                       \
    STRSAFEAPI StringCbVPrintf##A(T *to, size_t size, const T *format, va_list list) {                      \
        return StringCchVPrintf##A(to, size / sizeof(T), format, list);                                     \
    }                                                                                                       \
    STRSAFEAPI StringCbPrintf##A(T *to, size_t size, const T *format, ...) {                                \
        va_list list;                                                                                       \
        va_start(list, format);                                                                             \
        HRESULT result = StringCchVPrintf##A(to, size / sizeof(T), format, list);                           \
        va_end(list);                                                                                       \
        return result;                                                                                      \
    }

FLTWIN32_STRSAFE(A, char, fltwin32_vprint)
#ifdef FLTWIN32_SHORT_WCHAR
FLTWIN32_STRSAFE(W, wchar_t, vswprintf)
#endif
#undef FLTWIN32_STRSAFE

#define StringCchLength FLTWIN32_AW(StringCchLength)
#define StringCchCopy FLTWIN32_AW(StringCchCopy)
#define StringCchCopyN FLTWIN32_AW(StringCchCopyN)
#define StringCchCat FLTWIN32_AW(StringCchCat)
#define StringCchCatN FLTWIN32_AW(StringCchCatN)
#define StringCchPrintf FLTWIN32_AW(StringCchPrintf)
#define StringCchVPrintf FLTWIN32_AW(StringCchVPrintf)
#define StringCbLength FLTWIN32_AW(StringCbLength)
#define StringCbCopy FLTWIN32_AW(StringCbCopy)
#define StringCbCopyN FLTWIN32_AW(StringCbCopyN)
#define StringCbCat FLTWIN32_AW(StringCbCat)
#define StringCbPrintf FLTWIN32_AW(StringCbPrintf)
#define StringCbVPrintf FLTWIN32_AW(StringCbVPrintf)

#endif
