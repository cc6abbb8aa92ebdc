/* Arithmetic that says when a number does not fit. */
#pragma once

#include "wdm.h"

#define INTSAFE_E_ARITHMETIC_OVERFLOW STATUS_INTEGER_OVERFLOW
#define FK_CHECKED(name, type, operation) \
    FK_INLINE NTSTATUS name(type a, type b, type *result) \
    { \
        if (!operation(a, b, result)) return STATUS_SUCCESS; \
        *result = (type)-1; \
        return STATUS_INTEGER_OVERFLOW; \
    }
#define FK_CHECKED_ALL(short_name, type) \
    FK_CHECKED(Rtl##short_name##Add, type, __builtin_add_overflow) \
    FK_CHECKED(Rtl##short_name##Sub, type, __builtin_sub_overflow) \
    FK_CHECKED(Rtl##short_name##Mult, type, __builtin_mul_overflow)
FK_CHECKED_ALL(UShort, USHORT)
FK_CHECKED_ALL(ULong, ULONG)
FK_CHECKED_ALL(Long, LONG)
FK_CHECKED_ALL(ULongLong, ULONGLONG)
FK_CHECKED_ALL(LongLong, LONGLONG)
FK_CHECKED_ALL(SizeT, SIZE_T)
#define FK_NARROWED(name, from, to) \
    FK_INLINE NTSTATUS name(from value, to *result) \
    { \
        if (!__builtin_add_overflow(value, 0, result)) return STATUS_SUCCESS; \
        *result = (to)-1; \
        return STATUS_INTEGER_OVERFLOW; \
    }
FK_NARROWED(RtlULongToUShort, ULONG, USHORT)
FK_NARROWED(RtlULongToUChar, ULONG, UCHAR)
FK_NARROWED(RtlULongToLong, ULONG, LONG)
FK_NARROWED(RtlLongToULong, LONG, ULONG)
FK_NARROWED(RtlSizeTToULong, SIZE_T, ULONG)
FK_NARROWED(RtlSizeTToUShort, SIZE_T, USHORT)
FK_NARROWED(RtlULongLongToULong, ULONGLONG, ULONG)
FK_NARROWED(RtlULongLongToSizeT, ULONGLONG, SIZE_T)
FK_NARROWED(RtlULongLongToLongLong, ULONGLONG, LONGLONG)
FK_NARROWED(RtlLongLongToULong, LONGLONG, ULONG)
FK_NARROWED(RtlULongPtrToULong, ULONG_PTR, ULONG)

#include "fk/seh.h"
