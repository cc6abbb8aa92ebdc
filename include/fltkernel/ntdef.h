/* The basic types of Windows. */
#pragma once

#include "fk/compiler.h"
#include "../flttypes.h"
#include "../sal.h"

#define NOTHING
#define IN
#define OUT
#define OPTIONAL
#define CRITICAL
#define FAR
#define NEAR
#ifndef NULL
#define NULL 0
#endif
#define MAXULONGLONG 0xFFFFFFFFFFFFFFFFULL
#define MAXUINT32 0xFFFFFFFFU
#define MAXDWORD 0xFFFFFFFFU
#define MAXULONG_PTR ((ULONG_PTR)-1)
#define MAXLONG_PTR ((LONG_PTR)MAXLONGLONG)
#define SIZE_T_MAX MAXULONG_PTR
#define UCHAR_MAX 0xFF
#define USHORT_MAX 0xFFFF
#define USHRT_MAX 0xFFFF
#define INT_MAX 0x7FFFFFFF
#define INT_MIN (-INT_MAX - 1)
#define UINT_MAX 0xFFFFFFFFU
#define LONG_MAX 0x7FFFFFFF
#define LONG_MIN (-LONG_MAX - 1)
#define ULONG_MAX 0xFFFFFFFFU
#define LLONG_MAX MAXLONGLONG
#define ULLONG_MAX MAXULONGLONG
#define UNICODE_STRING_MAX_BYTES ((USHORT)65534)
#define UNICODE_STRING_MAX_CHARS 32767
#define ANSI_NULL ((CHAR)0)

typedef UCHAR KIRQL, *PKIRQL, FCHAR;
typedef const UCHAR *PCUCHAR;
typedef LONG KPRIORITY;
typedef ULONG CLONG, *PCLONG, LOGICAL;
typedef const ULONG *PCULONG;
typedef WCHAR TCHAR, *PTCHAR, *PTSTR, *LPTSTR;
typedef const WCHAR *PCTSTR, *LPCTSTR;
#define TEXT(text) FK_WIDE(text)
#define _T(text) FK_WIDE(text)
#define FK_WIDE(text) L##text

typedef LARGE_INTEGER PHYSICAL_ADDRESS, *PPHYSICAL_ADDRESS;
#ifdef __cplusplus
typedef const GUID &REFGUID;
#define IsEqualGUID(a, b) (memcmp(&(a), &(b), sizeof(GUID)) == 0)
#else
typedef const GUID *REFGUID;
#define IsEqualGUID(a, b) (memcmp((a), (b), sizeof(GUID)) == 0)
#endif

typedef STRING OEM_STRING, *POEM_STRING, UTF8_STRING, *PUTF8_STRING;
typedef const STRING *PCOEM_STRING, *PCUTF8_STRING;
#define UNICODE_NULL_STRING { 0, 0, NULL }
#ifdef __cplusplus
static constexpr PWCH fk_constant(const WCHAR *text) { return const_cast<PWCH>(text); }
static constexpr PCHAR fk_constant(const CHAR *text) { return const_cast<PCHAR>(text); }
#else
#define fk_constant(text) (text)
#endif
#define RTL_CONSTANT_STRING(text) { sizeof(text) - sizeof((text)[0]), sizeof(text), fk_constant(text) }
#define DECLARE_CONST_UNICODE_STRING(name, text) \
    const WCHAR name##_buffer[] = text; const UNICODE_STRING name = { sizeof(text) - sizeof(WCHAR), sizeof(text), (PWCH)name##_buffer }
#define DECLARE_UNICODE_STRING_SIZE(name, size) WCHAR name##_buffer[size]; UNICODE_STRING name = { 0, (size) * sizeof(WCHAR), name##_buffer }
#define DECLARE_GLOBAL_CONST_UNICODE_STRING(name, text) DECLARE_CONST_UNICODE_STRING(name, text)

typedef LIST_ENTRY *PRLIST_ENTRY;
typedef struct DECLSPEC_ALIGN(16) _SLIST_ENTRY { struct _SLIST_ENTRY *Next; } SLIST_ENTRY, *PSLIST_ENTRY;
typedef union DECLSPEC_ALIGN(16) _SLIST_HEADER { struct { ULONGLONG Alignment, Region; }; } SLIST_HEADER, *PSLIST_HEADER;
typedef struct _RTL_BALANCED_NODE {
    union { struct _RTL_BALANCED_NODE *Children[2]; struct { struct _RTL_BALANCED_NODE *Left, *Right; }; };
    ULONG_PTR ParentValue;
} RTL_BALANCED_NODE, *PRTL_BALANCED_NODE;

typedef struct _OBJECT_ATTRIBUTES {
    ULONG Length;
    HANDLE RootDirectory;
    PUNICODE_STRING ObjectName;
    ULONG Attributes;
    PVOID SecurityDescriptor, SecurityQualityOfService;
} OBJECT_ATTRIBUTES, *POBJECT_ATTRIBUTES;
typedef const OBJECT_ATTRIBUTES *PCOBJECT_ATTRIBUTES;
#define OBJ_INHERIT 0x2
#define OBJ_PERMANENT 0x10
#define OBJ_EXCLUSIVE 0x20
#define OBJ_CASE_INSENSITIVE 0x40
#define OBJ_OPENIF 0x80
#define OBJ_OPENLINK 0x100
#define OBJ_KERNEL_HANDLE 0x200
#define OBJ_FORCE_ACCESS_CHECK 0x400
#define OBJ_IGNORE_IMPERSONATED_DEVICEMAP 0x800
#define OBJ_DONT_REPARSE 0x1000
#define OBJ_VALID_ATTRIBUTES 0x1FF2
#define InitializeObjectAttributes(p, name, attributes, root, security) do { \
        (p)->Length = sizeof(OBJECT_ATTRIBUTES); \
        (p)->RootDirectory = (root); \
        (p)->Attributes = (attributes); \
        (p)->ObjectName = (name); \
        (p)->SecurityDescriptor = (security); \
        (p)->SecurityQualityOfService = NULL; \
    } while (0)
#define RTL_CONSTANT_OBJECT_ATTRIBUTES(name, attributes) { sizeof(OBJECT_ATTRIBUTES), NULL, (PUNICODE_STRING)(name), (attributes), NULL, NULL }
#define RTL_INIT_OBJECT_ATTRIBUTES RTL_CONSTANT_OBJECT_ATTRIBUTES

#define STATUS_SEVERITY_SUCCESS 0
#define STATUS_SEVERITY_INFORMATIONAL 1
#define STATUS_SEVERITY_WARNING 2
#define STATUS_SEVERITY_ERROR 3

#define ARGUMENT_PRESENT(p) ((p) != NULL)
#define UFIELD_OFFSET(type, field) ((ULONG)offsetof(type, field))
#define RTL_CONTAINS_FIELD(p, size, field) ((((PCHAR)(&(p)->field)) + sizeof((p)->field)) <= (((PCHAR)(p)) + (size)))
#define RTL_NUMBER_OF_FIELD(type, field) RTL_NUMBER_OF(((type *)0)->field)
#define _countof RTL_NUMBER_OF
#define FlagOn(flags, one) ((flags) & (one))
#define BooleanFlagOn(flags, one) ((BOOLEAN)(((flags) & (one)) != 0))
#define SetFlag(flags, one) ((flags) |= (one))
#define ClearFlag(flags, one) ((flags) &= ~(one))
#define MAKELANGID(p, s) ((((USHORT)(s)) << 10) | (USHORT)(p))
#define TYPE_ALIGNMENT(type) ((LONG)__alignof__(type))
#define PROBE_ALIGNMENT(type) TYPE_ALIGNMENT(type)
#ifdef __cplusplus
#define DEFINE_ENUM_FLAG_OPERATORS(type) \
    inline constexpr type operator|(type a, type b) { return type((long long)a | (long long)b); } \
    inline constexpr type operator&(type a, type b) { return type((long long)a & (long long)b); } \
    inline constexpr type operator~(type a) { return type(~(long long)a); } \
    inline type &operator|=(type &a, type b) { return a = a | b; } \
    inline type &operator&=(type &a, type b) { return a = a & b; }
#else
#define DEFINE_ENUM_FLAG_OPERATORS(type)
#endif
#define min(a, b) (((a) < (b)) ? (a) : (b))
#define max(a, b) (((a) > (b)) ? (a) : (b))
#define LOBYTE(w) ((UCHAR)(w))
#define HIBYTE(w) ((UCHAR)(((USHORT)(w) >> 8) & 0xFF))
#define LOWORD(l) ((USHORT)(ULONG_PTR)(l))
#define HIWORD(l) ((USHORT)(((ULONG_PTR)(l) >> 16) & 0xFFFF))
#define PtrToUlong(p) ((ULONG)(ULONG_PTR)(p))
#define PtrToLong(p) ((LONG)(LONG_PTR)(p))
#define PtrToUint(p) ((UINT)(UINT_PTR)(p))
#define UlongToPtr(u) ((PVOID)(ULONG_PTR)(ULONG)(u))
#define ULongToPtr UlongToPtr
#define LongToPtr(l) ((PVOID)(LONG_PTR)(LONG)(l))
#define HandleToULong(h) ((ULONG)(ULONG_PTR)(h))
#define HandleToUlong HandleToULong
#define HandleToLong(h) ((LONG)(LONG_PTR)(h))
#define ULongToHandle(u) ((HANDLE)(ULONG_PTR)(ULONG)(u))
#define UlongToHandle ULongToHandle
#define LongToHandle(l) ((HANDLE)(LONG_PTR)(LONG)(l))
#define Int32x32To64(a, b) ((LONGLONG)(LONG)(a) * (LONGLONG)(LONG)(b))
#define UInt32x32To64(a, b) ((ULONGLONG)(ULONG)(a) * (ULONGLONG)(ULONG)(b))
#define __C_ASSERT__ C_ASSERT

typedef enum _EVENT_TYPE { NotificationEvent, SynchronizationEvent } EVENT_TYPE;
typedef enum _TIMER_TYPE { NotificationTimer, SynchronizationTimer } TIMER_TYPE;
typedef enum _WAIT_TYPE { WaitAll, WaitAny, WaitNotification, WaitDequeue } WAIT_TYPE;
typedef enum _NT_PRODUCT_TYPE { NtProductWinNt = 1, NtProductLanManNt, NtProductServer } NT_PRODUCT_TYPE, *PNT_PRODUCT_TYPE;

/* Before <initguid.h> DEFINE_GUID only declares. */
#ifndef DEFINE_GUID
#define DEFINE_GUID(name, d1, d2, d3, b0, b1, b2, b3, b4, b5, b6, b7) EXTERN_C const GUID DECLSPEC_SELECTANY name
#endif
