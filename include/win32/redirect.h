/* How a function of the C library is replaced by one of libfltwin32: the C library's header is included with another name
 * for it, and then it is declared with the symbol of ours. Programs, and the headers of C++, see its own name.
 *
 * Only with -fshort-wchar; otherwise the C library's functions are right.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef FLTWIN32_REDIRECT_H
#define FLTWIN32_REDIRECT_H

#if __SIZEOF_WCHAR_T__ == 2
#define FLTWIN32_SHORT_WCHAR 1
#endif

#define FLTWIN32_SYMBOL(name) __asm__("fltwin32_" #name)
/* The C library's functions that throw nothing say so. */
#ifdef __cplusplus
#define FLTWIN32_C extern "C"
#define FLTWIN32_NOTHROW noexcept(true)
#define FLTWIN32_NOTHROW_SYMBOL(name) noexcept(true) FLTWIN32_SYMBOL(name)
#else
#define FLTWIN32_C extern
#define FLTWIN32_NOTHROW __attribute__((nothrow))
#define FLTWIN32_NOTHROW_SYMBOL(name) FLTWIN32_SYMBOL(name) __attribute__((nothrow))
#endif

#endif
