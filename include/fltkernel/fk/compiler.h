/* What the Windows headers expect of a compiler, for gcc and clang on Linux. */
#pragma once

#if !defined(__GNUC__)
#error "fltkernel needs gcc or clang"
#endif
#if __SIZEOF_WCHAR_T__ != 2
#error "a driver is built with -fshort-wchar, because L\"text\" is UTF-16 there (fltmc cc does it)"
#endif
#if __SIZEOF_POINTER__ != 8
#error "a driver is built for a 64-bit machine"
#endif

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The machine and the version that a driver asks about. _WIN32 and _MSC_VER stay undefined: they would promise a compiler. */
#ifndef _WIN64
#define _WIN64 1
#endif
#if defined(__x86_64__) && !defined(_AMD64_)
#define _AMD64_ 1
#define _M_AMD64 100
#define _M_X64 100
#elif defined(__aarch64__) && !defined(_ARM64_)
#define _ARM64_ 1
#define _M_ARM64 1
#endif
#ifndef _KERNEL_MODE
#define _KERNEL_MODE 1
#endif
#ifndef WINVER
#define WINVER 0x0A00
#endif
#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0A00
#endif
#ifndef NTDDI_VERSION
#define NTDDI_VERSION 0x0A000010
#endif
#ifndef DBG
#define DBG 1
#endif
#ifndef UNICODE
#define UNICODE 1
#endif
#define _NTDDK_ 1
#define ALLOC_PRAGMA 1
#define WIN32_LEAN_AND_MEAN 1

#define NTDDI_WIN2K 0x05000000
#define NTDDI_WINXP 0x05010000
#define NTDDI_WINXPSP2 0x05010200
#define NTDDI_WS03 0x05020000
#define NTDDI_WIN6 0x06000000
#define NTDDI_VISTA 0x06000000
#define NTDDI_LONGHORN 0x06000000
#define NTDDI_WIN7 0x06010000
#define NTDDI_WIN8 0x06020000
#define NTDDI_WINBLUE 0x06030000
#define NTDDI_WINTHRESHOLD 0x0A000000
#define NTDDI_WIN10 0x0A000000
#define NTDDI_WIN10_TH2 0x0A000001
#define NTDDI_WIN10_RS1 0x0A000002
#define NTDDI_WIN10_RS2 0x0A000003
#define NTDDI_WIN10_RS3 0x0A000004
#define NTDDI_WIN10_RS4 0x0A000005
#define NTDDI_WIN10_RS5 0x0A000006
#define NTDDI_WIN10_19H1 0x0A000007
#define NTDDI_WIN10_VB 0x0A000008
#define NTDDI_WIN10_MN 0x0A000009
#define NTDDI_WIN10_FE 0x0A00000A
#define NTDDI_WIN10_CO 0x0A00000B
#define NTDDI_WIN10_NI 0x0A00000C
#define NTDDI_WIN10_CU 0x0A00000D
#define NTDDI_WIN11_ZN 0x0A00000E
#define NTDDI_WIN11_GA 0x0A00000F
#define NTDDI_WIN11_GE 0x0A000010
#define OSVERSION_MASK 0xFFFF0000
#define SPVERSION_MASK 0x0000FF00
#define SUBVERSION_MASK 0x000000FF
#define OSVER(version) ((version) & OSVERSION_MASK)
#define SPVER(version) (((version) & SPVERSION_MASK) >> 8)
#define _WIN32_WINNT_WIN7 0x0601
#define _WIN32_WINNT_WIN8 0x0602
#define _WIN32_WINNT_WINBLUE 0x0603
#define _WIN32_WINNT_WIN10 0x0A00

#ifdef __cplusplus
#define EXTERN_C extern "C"
#define EXTERN_C_START extern "C" {
#define EXTERN_C_END }
#define FK_STATIC_ASSERT static_assert
#define FK_TYPEOF decltype
#else
#define EXTERN_C extern
#define EXTERN_C_START
#define EXTERN_C_END
#define FK_STATIC_ASSERT _Static_assert
#define FK_TYPEOF __typeof__
#define static_assert _Static_assert
#endif

/* One calling convention, the platform's. */
#define FLTAPI_CDECL
#define FASTCALL
#define CDECL
#define NTSYSAPI
#define NTKERNELAPI
#define NTHALAPI
#define DECLSPEC_IMPORT
#define DECLSPEC_EXPORT
#define __cdecl
#define __stdcall
#define __fastcall
#define __vectorcall
#define _cdecl
#define _stdcall
#define __ptr64
#define __ptr32
#define __unaligned
#define UNALIGNED

/* clang has these two with -fms-extensions, gcc has neither on Linux. */
#if !defined(__clang__)
#define __declspec(what) FK_DECLSPEC_##what
#define FK_DECLSPEC_align(n) __attribute__((aligned(n)))
#define FK_DECLSPEC_noinline __attribute__((noinline))
#define FK_DECLSPEC_noreturn __attribute__((noreturn))
#define FK_DECLSPEC_selectany __attribute__((weak))
#define FK_DECLSPEC_naked __attribute__((naked))
#define FK_DECLSPEC_thread __thread
#define FK_DECLSPEC_allocate(section) __attribute__((section(section)))
#define FK_DECLSPEC_deprecated __attribute__((deprecated))
#define FK_DECLSPEC_restrict
#define FK_DECLSPEC_noalias
#define FK_DECLSPEC_nothrow
#define FK_DECLSPEC_novtable
#define FK_DECLSPEC_dllimport
#define FK_DECLSPEC_dllexport
#define FK_DECLSPEC_code_seg(name)
#define FK_DECLSPEC_uuid(text)
#define __int8 char
#define __int16 short
#define __int32 int
#define __int64 long
#endif

#undef __forceinline
#undef __inline
#define __forceinline inline __attribute__((always_inline))
#define __inline inline __attribute__((always_inline))
#define FORCEINLINE inline __attribute__((always_inline))
#define CFORCEINLINE FORCEINLINE
#define NTAPI_INLINE NTAPI
#define FK_INLINE static inline __attribute__((always_inline, unused))
#define DECLSPEC_ALIGN(n) __attribute__((aligned(n)))
#define DECLSPEC_NORETURN __attribute__((noreturn))
#define DECLSPEC_NOINLINE __attribute__((noinline))
#define DECLSPEC_SELECTANY __attribute__((weak))
#define DECLSPEC_CACHEALIGN DECLSPEC_ALIGN(64)
#define DECLSPEC_DEPRECATED_DDK
#define DECLSPEC_NOVTABLE
#define DECLSPEC_RESTRICT
#define MEMORY_ALLOCATION_ALIGNMENT 16
#define POINTER_ALIGNMENT DECLSPEC_ALIGN(8)
#define __assume(condition) do { if (!(condition)) __builtin_unreachable(); } while (0)
#define __noop(...) ((void)0)
#define __analysis_assume(condition) ((void)0)
#define _Analysis_assume_(condition) ((void)0)
#define _Analysis_mode_(mode)
#define __pragma(text)
#define _CRT_INSECURE_DEPRECATE(text)
#define _ReturnAddress() __builtin_return_address(0)
#define _AddressOfReturnAddress() ((void *)((char *)__builtin_frame_address(0) + 8))

/* "text" __FUNCTION__ "text" is a literal to Microsoft's compiler and a variable to these: the place is printed for the name. */
#define FK_TEXT_(what) #what
#define FK_TEXT(what) FK_TEXT_(what)
#define __FUNCTION__ __FILE__ ":" FK_TEXT(__LINE__)
#define __FUNCSIG__ __FUNCTION__

/* 10i64 and 10ui64: clang reads them, C++ can be taught to, gcc's C cannot (fltmc cc rewrites them). */
#if defined(__cplusplus) && !defined(__clang__)
constexpr long long operator""i64(unsigned long long n) { return (long long)n; }
constexpr long long operator""I64(unsigned long long n) { return (long long)n; }
constexpr unsigned long long operator""ui64(unsigned long long n) { return n; }
constexpr unsigned long long operator""UI64(unsigned long long n) { return n; }
#endif
