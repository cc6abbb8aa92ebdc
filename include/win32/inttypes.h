/* The C library's inttypes.h, for a printf in which a long has 32 bits.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef FLTWIN32_INTTYPES_H
#define FLTWIN32_INTTYPES_H

#include "redirect.h"

#pragma GCC system_header
#include_next <inttypes.h>

#ifdef FLTWIN32_SHORT_WCHAR
#undef PRId64
#undef PRIi64
#undef PRIo64
#undef PRIu64
#undef PRIx64
#undef PRIX64
#undef PRIdMAX
#undef PRIuMAX
#undef PRIxMAX
#undef PRIXMAX
#undef PRIdPTR
#undef PRIuPTR
#undef PRIxPTR
#undef PRIXPTR
#define PRId64 "lld"
#define PRIi64 "lli"
#define PRIo64 "llo"
#define PRIu64 "llu"
#define PRIx64 "llx"
#define PRIX64 "llX"
#define PRIdMAX "lld"
#define PRIuMAX "llu"
#define PRIxMAX "llx"
#define PRIXMAX "llX"
#define PRIdPTR "lld"
#define PRIuPTR "llu"
#define PRIxPTR "llx"
#define PRIXPTR "llX"
#endif

#endif
