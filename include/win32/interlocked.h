/* Interlocked operations, on integers of any size.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef FLTWIN32_INTERLOCKED_H
#define FLTWIN32_INTERLOCKED_H

#include <flttypes.h>

#ifdef __cplusplus
#define FLTWIN32_INTERLOCKED template <typename T> inline T
FLTWIN32_INTERLOCKED InterlockedIncrement(volatile T *at) { return __atomic_add_fetch(at, 1, __ATOMIC_SEQ_CST); }
FLTWIN32_INTERLOCKED InterlockedDecrement(volatile T *at) { return __atomic_sub_fetch(at, 1, __ATOMIC_SEQ_CST); }
#define FLTWIN32_EXCHANGE(name, builtin)                                              \
    template <typename T, typename V> inline T name(volatile T *at, V value) {        \
        return builtin(at, static_cast<T>(value), __ATOMIC_SEQ_CST);                  \
    }
FLTWIN32_EXCHANGE(InterlockedExchange, __atomic_exchange_n)
FLTWIN32_EXCHANGE(InterlockedExchangeAdd, __atomic_fetch_add)
FLTWIN32_EXCHANGE(InterlockedAdd, __atomic_add_fetch)
FLTWIN32_EXCHANGE(InterlockedAnd, __atomic_fetch_and)
FLTWIN32_EXCHANGE(InterlockedOr, __atomic_fetch_or)
FLTWIN32_EXCHANGE(InterlockedXor, __atomic_fetch_xor)
template <typename T, typename V, typename C> inline T InterlockedCompareExchange(volatile T *at, V value, C expected) {
    T seen = static_cast<T>(expected);
    __atomic_compare_exchange_n(at, &seen, static_cast<T>(value), false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return seen;
}
inline PVOID InterlockedExchangePointer(PVOID volatile *at, PVOID value) {
    return __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST);
}
inline PVOID InterlockedCompareExchangePointer(PVOID volatile *at, PVOID value, PVOID expected) {
    __atomic_compare_exchange_n(at, &expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return expected;
}
#undef FLTWIN32_EXCHANGE
#undef FLTWIN32_INTERLOCKED
#else
#define InterlockedIncrement(at) __atomic_add_fetch((at), 1, __ATOMIC_SEQ_CST)
#define InterlockedDecrement(at) __atomic_sub_fetch((at), 1, __ATOMIC_SEQ_CST)
#define InterlockedExchange(at, value) __atomic_exchange_n((at), (value), __ATOMIC_SEQ_CST)
#define InterlockedExchangeAdd(at, value) __atomic_fetch_add((at), (value), __ATOMIC_SEQ_CST)
#define InterlockedAdd(at, value) __atomic_add_fetch((at), (value), __ATOMIC_SEQ_CST)
#define InterlockedAnd(at, value) __atomic_fetch_and((at), (value), __ATOMIC_SEQ_CST)
#define InterlockedOr(at, value) __atomic_fetch_or((at), (value), __ATOMIC_SEQ_CST)
#define InterlockedXor(at, value) __atomic_fetch_xor((at), (value), __ATOMIC_SEQ_CST)
#define InterlockedExchangePointer(at, value) __atomic_exchange_n((at), (PVOID)(value), __ATOMIC_SEQ_CST)
#define InterlockedCompareExchange(at, value, expected) __sync_val_compare_and_swap((at), (expected), (value))
#define InterlockedCompareExchangePointer(at, value, expected) \
    __sync_val_compare_and_swap((at), (PVOID)(expected), (PVOID)(value))
#endif
#define InterlockedIncrement64 InterlockedIncrement
#define InterlockedDecrement64 InterlockedDecrement
#define InterlockedExchange64 InterlockedExchange
#define InterlockedExchangeAdd64 InterlockedExchangeAdd
#define InterlockedAdd64 InterlockedAdd
#define InterlockedAnd64 InterlockedAnd
#define InterlockedOr64 InterlockedOr
#define InterlockedCompareExchange64 InterlockedCompareExchange
#define MemoryBarrier() __atomic_thread_fence(__ATOMIC_SEQ_CST)

#endif
