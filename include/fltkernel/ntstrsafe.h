/* Text in buffers of known size: always ended, and said when it was cut. Cb counts bytes, Cch characters. */
#pragma once

#include "wdm.h"

#define NTSTRSAFE_MAX_CCH 2147483647
#define NTSTRSAFE_UNICODE_STRING_MAX_CCH (0xFFFF / sizeof(WCHAR))
#define NTSTRSAFE_PWSTR PWSTR
#define NTSTRSAFE_PCWSTR PCWSTR
#define NTSTRSAFE_PSTR PSTR
#define NTSTRSAFE_PCSTR PCSTR
#define STRSAFE_IGNORE_NULLS 0x00000100
#define STRSAFE_FILL_BEHIND_NULL 0x00000200
#define STRSAFE_FILL_ON_FAILURE 0x00000400
#define STRSAFE_NULL_ON_FAILURE 0x00000800
#define STRSAFE_NO_TRUNCATION 0x00001000
#define STRSAFE_MAX_CCH NTSTRSAFE_MAX_CCH

EXTERN_C_START
#define FK_STRSAFE(unit, c, text, const_text) \
    NTSTATUS RtlString##unit##Copy##c(text, size_t, const_text); \
    NTSTATUS RtlString##unit##CopyN##c(text, size_t, const_text, size_t); \
    NTSTATUS RtlString##unit##Cat##c(text, size_t, const_text); \
    NTSTATUS RtlString##unit##CatN##c(text, size_t, const_text, size_t); \
    NTSTATUS RtlString##unit##Length##c(const_text, size_t, size_t *); \
    NTSTATUS RtlString##unit##Printf##c(text, size_t, const_text, ...); \
    NTSTATUS RtlString##unit##VPrintf##c(text, size_t, const_text, va_list); \
    NTSTATUS RtlString##unit##PrintfEx##c(text, size_t, text *, size_t *, ULONG, const_text, ...);
FK_STRSAFE(Cb, W, PWSTR, PCWSTR)
FK_STRSAFE(Cch, W, PWSTR, PCWSTR)
FK_STRSAFE(Cb, A, PSTR, PCSTR)
FK_STRSAFE(Cch, A, PSTR, PCSTR)
NTSTATUS RtlUnicodeStringCopy(PUNICODE_STRING, PCUNICODE_STRING);
NTSTATUS RtlUnicodeStringCopyString(PUNICODE_STRING, PCWSTR);
NTSTATUS RtlUnicodeStringCat(PUNICODE_STRING, PCUNICODE_STRING);
NTSTATUS RtlUnicodeStringCatString(PUNICODE_STRING, PCWSTR);
NTSTATUS RtlUnicodeStringPrintf(PUNICODE_STRING, PCWSTR, ...);
NTSTATUS RtlUnicodeStringVPrintf(PUNICODE_STRING, PCWSTR, va_list);
NTSTATUS RtlUnicodeStringInit(PUNICODE_STRING, PCWSTR);
NTSTATUS RtlUnicodeStringInitEx(PUNICODE_STRING, PCWSTR, ULONG);
NTSTATUS RtlUnicodeStringValidate(PCUNICODE_STRING);
NTSTATUS RtlUnicodeStringValidateEx(PCUNICODE_STRING, ULONG);
EXTERN_C_END

#define RtlStringCbCopy RtlStringCbCopyW
#define RtlStringCbCat RtlStringCbCatW
#define RtlStringCbPrintf RtlStringCbPrintfW
#define RtlStringCbLength RtlStringCbLengthW
#define RtlStringCchCopy RtlStringCchCopyW
#define RtlStringCchCat RtlStringCchCatW
#define RtlStringCchPrintf RtlStringCchPrintfW
#define RtlStringCchLength RtlStringCchLengthW
#define RtlStringCbCopyUnicodeString(to, size, from) RtlStringCbCopyNW(to, size, (from)->Buffer, (from)->Length)
#define RtlStringCchCopyUnicodeString(to, size, from) RtlStringCchCopyNW(to, size, (from)->Buffer, (from)->Length / sizeof(WCHAR))

#include "fk/seh.h"
