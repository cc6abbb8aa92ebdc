/* The types that both ends of a communication port share: what an application includes through fltuser.h, and a filter
 * through fltkernel.h. Windows dictates the names and the layouts; the assertions at the end hold them to it.
 *
 * A string of Windows is UTF-16. With -fshort-wchar, which `pkg-config --cflags fltlib` gives, L"text" is one; without
 * it WCHAR is char16_t and u"text" is.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef FLTTYPES_H
#define FLTTYPES_H

#include <stddef.h>
#include <stdint.h>
#if !defined(__cplusplus) && __SIZEOF_WCHAR_T__ != 2
#include <uchar.h>
#endif

#if !defined(__LP64__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "fltmgr is for 64-bit little-endian systems"
#endif

#ifdef __cplusplus
#define FLT_EXTERN_C extern "C"
#define FLT_STATIC_ASSERT(condition, why) static_assert(condition, why)
#else
#define FLT_EXTERN_C
#define FLT_STATIC_ASSERT(condition, why) _Static_assert(condition, why)
#endif

/* One calling convention here: that of the platform. */
#define WINAPI
#define APIENTRY
#define CALLBACK
#define NTAPI
#define FLTAPI
#define STDAPICALLTYPE

#ifndef VOID
#define VOID void
#endif
#ifndef CONST
#define CONST const
#endif
#ifndef TRUE
#define TRUE 1
#endif
#ifndef FALSE
#define FALSE 0
#endif

/* LONG and its family have 32 bits, as on Windows, where long has 64 here. */
typedef char CHAR, *PCHAR, *LPCH, *PCH, *LPSTR, *PSTR, *NPSTR, *PSZ, CCHAR, *PCCHAR;
typedef const char *PCSTR, *LPCSTR, *PCSZ, *LPCCH, *PCCH;
typedef signed char INT8, *PINT8, SCHAR, *PSCHAR;
typedef unsigned char UCHAR, *PUCHAR, BYTE, *PBYTE, *LPBYTE, UINT8, *PUINT8, BOOLEAN, *PBOOLEAN;
typedef short SHORT, *PSHORT, INT16, *PINT16, CSHORT;
typedef unsigned short USHORT, *PUSHORT, WORD, *PWORD, *LPWORD, UINT16, *PUINT16, ATOM;
typedef int INT, *PINT, *LPINT, LONG, *PLONG, *LPLONG, INT32, *PINT32, LONG32, *PLONG32, BOOL, *PBOOL, *LPBOOL;
typedef unsigned int UINT, *PUINT, *LPUINT, ULONG, *PULONG, *LPULONG, DWORD, *PDWORD, *LPDWORD, UINT32, *PUINT32,
    ULONG32, *PULONG32, DWORD32, *PDWORD32;
typedef int NTSTATUS, *PNTSTATUS, HRESULT;
typedef float FLOAT, *PFLOAT;
typedef double DOUBLE;
typedef void *PVOID, *LPVOID, *PVOID64;
typedef const void *PCVOID, *LPCVOID;

/* What has 64 bits is one type, whatever its name, as on Windows: there uint64_t, size_t and __int64 are one as well. */
#if !defined(__int64) && !(defined(__clang__) && defined(_MSC_EXTENSIONS))
#define __int8 char
#define __int16 short
#define __int32 int
#define __int64 long
#endif
typedef long LONGLONG, *PLONGLONG, INT64, *PINT64, LONG64, *PLONG64, INT_PTR, *PINT_PTR, LONG_PTR, *PLONG_PTR,
    SSIZE_T, *PSSIZE_T, USN;
typedef unsigned long ULONGLONG, *PULONGLONG, UINT64, *PUINT64, ULONG64, *PULONG64, DWORD64, *PDWORD64, DWORDLONG,
    *PDWORDLONG, UINT_PTR, *PUINT_PTR, ULONG_PTR, *PULONG_PTR, DWORD_PTR, *PDWORD_PTR, SIZE_T, *PSIZE_T, KAFFINITY;

#if defined(__cplusplus) && __SIZEOF_WCHAR_T__ == 2
typedef wchar_t WCHAR;
#elif __SIZEOF_WCHAR_T__ == 2
typedef __WCHAR_TYPE__ WCHAR;
#else
typedef char16_t WCHAR;
#endif
typedef WCHAR *PWCHAR, *LPWCH, *PWCH, *PWSTR, *LPWSTR, *NWPSTR, **PZPWSTR, *PZZWSTR;
typedef const WCHAR *PCWCHAR, *LPCWCH, *PCWCH, *PCWSTR, *LPCWSTR;

typedef void *HANDLE;
typedef HANDLE *PHANDLE, *LPHANDLE;
typedef ULONG ACCESS_MASK, *PACCESS_MASK;
typedef PVOID PSECURITY_DESCRIPTOR;
#define DECLARE_HANDLE(name) typedef struct name##__ *name

/* The members that lie in the union without a name are reached without one, as in Microsoft's headers. */
typedef union _LARGE_INTEGER {
    __extension__ struct {
        DWORD LowPart;
        LONG HighPart;
    };
    struct {
        DWORD LowPart;
        LONG HighPart;
    } u;
    LONGLONG QuadPart;
} LARGE_INTEGER, *PLARGE_INTEGER;

typedef union _ULARGE_INTEGER {
    __extension__ struct {
        DWORD LowPart;
        DWORD HighPart;
    };
    struct {
        DWORD LowPart;
        DWORD HighPart;
    } u;
    ULONGLONG QuadPart;
} ULARGE_INTEGER, *PULARGE_INTEGER;

typedef struct _LIST_ENTRY {
    struct _LIST_ENTRY *Flink;
    struct _LIST_ENTRY *Blink;
} LIST_ENTRY, *PLIST_ENTRY;

typedef struct _SINGLE_LIST_ENTRY {
    struct _SINGLE_LIST_ENTRY *Next;
} SINGLE_LIST_ENTRY, *PSINGLE_LIST_ENTRY;

/* Lengths in bytes, without a terminator. */
typedef struct _UNICODE_STRING {
    USHORT Length;
    USHORT MaximumLength;
    PWSTR Buffer;
} UNICODE_STRING, *PUNICODE_STRING;
typedef const UNICODE_STRING *PCUNICODE_STRING;

typedef struct _STRING {
    USHORT Length;
    USHORT MaximumLength;
    PCHAR Buffer;
} STRING, *PSTRING, ANSI_STRING, *PANSI_STRING;
typedef const STRING *PCSTRING, *PCANSI_STRING;

typedef struct _GUID {
    UINT32 Data1;
    USHORT Data2;
    USHORT Data3;
    UCHAR Data4[8];
} GUID, *PGUID, *LPGUID, CLSID, IID;
typedef const GUID *LPCGUID;

typedef struct _LUID {
    DWORD LowPart;
    LONG HighPart;
} LUID, *PLUID;

typedef struct _SECURITY_ATTRIBUTES {
    DWORD nLength;
    LPVOID lpSecurityDescriptor;
    BOOL bInheritHandle;
} SECURITY_ATTRIBUTES, *PSECURITY_ATTRIBUTES, *LPSECURITY_ATTRIBUTES;

/* What FilterGetMessage puts in front of a message. */
typedef struct _FILTER_MESSAGE_HEADER {
    /* The longest reply with its header, 16 bytes; 0: none is wanted. */
    ULONG ReplyLength;
    ULONGLONG MessageId;
} FILTER_MESSAGE_HEADER, *PFILTER_MESSAGE_HEADER;

/* What stands in front of a reply. */
typedef struct _FILTER_REPLY_HEADER {
    /* What the filter's FltSendMessage returns. */
    NTSTATUS Status;
    ULONGLONG MessageId;
} FILTER_REPLY_HEADER, *PFILTER_REPLY_HEADER;

/* What a port's security descriptor may grant. To connect takes all of it. */
#define FLT_PORT_CONNECT 0x0001
#define FLT_PORT_ALL_ACCESS 0x001F0001

#define NT_SUCCESS(status) (((NTSTATUS)(status)) >= 0)
#define NT_INFORMATION(status) ((((ULONG)(status)) >> 30) == 1)
#define NT_WARNING(status) ((((ULONG)(status)) >> 30) == 2)
#define NT_ERROR(status) ((((ULONG)(status)) >> 30) == 3)

#define MINCHAR 0x80
#define MAXCHAR 0x7F
#define MINSHORT 0x8000
#define MAXSHORT 0x7FFF
#define MINLONG 0x80000000
#define MAXLONG 0x7FFFFFFF
#define MAXUCHAR 0xFF
#define MAXUSHORT 0xFFFF
#define MAXULONG 0xFFFFFFFFU
#define MAXLONGLONG 0x7FFFFFFFFFFFFFFFLL
#define ANYSIZE_ARRAY 1
#define UNICODE_NULL ((WCHAR)0)

#define FIELD_OFFSET(type, field) ((LONG)offsetof(type, field))
#define RTL_FIELD_SIZE(type, field) (sizeof(((type *)0)->field))
#define RTL_SIZEOF_THROUGH_FIELD(type, field) (FIELD_OFFSET(type, field) + RTL_FIELD_SIZE(type, field))
#define RTL_NUMBER_OF(array) (sizeof(array) / sizeof((array)[0]))
#define ARRAYSIZE(array) RTL_NUMBER_OF(array)
#ifndef CONTAINING_RECORD
#define CONTAINING_RECORD(address, type, field) ((type *)((PCHAR)(address)-offsetof(type, field)))
#endif
#define UNREFERENCED_PARAMETER(parameter) ((void)(parameter))
#define DBG_UNREFERENCED_PARAMETER(parameter) ((void)(parameter))
#define DBG_UNREFERENCED_LOCAL_VARIABLE(variable) ((void)(variable))
#define C_ASSERT(condition) FLT_STATIC_ASSERT(condition, #condition)

FLT_STATIC_ASSERT(sizeof(WCHAR) == 2, "WCHAR is UTF-16");
FLT_STATIC_ASSERT(sizeof(LONG) == 4 && sizeof(ULONG) == 4 && sizeof(DWORD) == 4, "32 bits");
FLT_STATIC_ASSERT(sizeof(LONGLONG) == 8 && sizeof(ULONGLONG) == 8, "64 bits");
FLT_STATIC_ASSERT(sizeof(ULONG_PTR) == sizeof(void *) && sizeof(HANDLE) == 8, "64-bit pointers");
FLT_STATIC_ASSERT(sizeof(LARGE_INTEGER) == 8 && __alignof__(LARGE_INTEGER) == 8, "LARGE_INTEGER");
FLT_STATIC_ASSERT(offsetof(LARGE_INTEGER, HighPart) == 4 && offsetof(LARGE_INTEGER, u.HighPart) == 4, "LARGE_INTEGER");
FLT_STATIC_ASSERT(sizeof(UNICODE_STRING) == 16 && offsetof(UNICODE_STRING, Buffer) == 8, "UNICODE_STRING");
FLT_STATIC_ASSERT(offsetof(UNICODE_STRING, MaximumLength) == 2, "UNICODE_STRING");
FLT_STATIC_ASSERT(sizeof(GUID) == 16, "GUID");
FLT_STATIC_ASSERT(sizeof(SECURITY_ATTRIBUTES) == 24, "SECURITY_ATTRIBUTES");
FLT_STATIC_ASSERT(offsetof(SECURITY_ATTRIBUTES, lpSecurityDescriptor) == 8, "SECURITY_ATTRIBUTES");
FLT_STATIC_ASSERT(offsetof(SECURITY_ATTRIBUTES, bInheritHandle) == 16, "SECURITY_ATTRIBUTES");
FLT_STATIC_ASSERT(sizeof(FILTER_MESSAGE_HEADER) == 16, "FILTER_MESSAGE_HEADER");
FLT_STATIC_ASSERT(offsetof(FILTER_MESSAGE_HEADER, MessageId) == 8, "FILTER_MESSAGE_HEADER");
FLT_STATIC_ASSERT(sizeof(FILTER_REPLY_HEADER) == 16, "FILTER_REPLY_HEADER");
FLT_STATIC_ASSERT(offsetof(FILTER_REPLY_HEADER, MessageId) == 8, "FILTER_REPLY_HEADER");

#endif
