/* Structured exception handling, which gcc and clang do not have on Linux.
 *
 * __try opens a frame of the thread that the library keeps, and is a loop over the phases body, handler, done. A fault, or
 * ExRaiseStatus, jumps to the innermost frame that is in its body; __leave to the end of that body. __finally is a plain
 * else, so that an if around the whole binds its own else. The compiler must not keep variables in registers across the
 * jump, nor drop stores that only a fault makes visible: driver code is built without optimisation (see the end of this file). */
#pragma once

#include "compiler.h"

EXTERN_C_START
void fk_seh_enter(void *function_frame, int number, void *leave);
int fk_seh_next(void *function_frame, int number);
int fk_seh_in_body(void);
void *fk_seh_environment(void);
void *fk_seh_leave(void *function_frame);
int fk_seh_pending(void);
int fk_seh_filter(int answer);
int fk_seh_code(void);
void *fk_seh_information(void);
int fk_seh_abnormal(void);
int _setjmp(void *environment) __attribute__((returns_twice));
EXTERN_C_END

#define FK_TRY__(n) \
    for (fk_seh_enter(__builtin_frame_address(0), n, &&fk_leave_##n); fk_seh_next(__builtin_frame_address(0), n);) \
        if (0) fk_leave_##n: continue; \
        else if (fk_seh_in_body() && _setjmp(fk_seh_environment()) == 0)
#define FK_TRY_(n) FK_TRY__(n)

#undef __try
#undef __leave
#define __try FK_TRY_(__COUNTER__)
#define __leave goto *fk_seh_leave(__builtin_frame_address(0))
#define __finally else
#define __except(...) else if (!(fk_seh_pending() && fk_seh_filter((int)(__VA_ARGS__)))) ; else

#ifndef __cplusplus
#define try __try
#define leave __leave
#define finally __finally
#define except __except
#endif

#define EXCEPTION_EXECUTE_HANDLER 1
#define EXCEPTION_CONTINUE_SEARCH 0
#define EXCEPTION_CONTINUE_EXECUTION (-1)
#define GetExceptionCode() ((unsigned int)fk_seh_code())
#define _exception_code GetExceptionCode
#define exception_code GetExceptionCode
#define GetExceptionInformation() ((struct _EXCEPTION_POINTERS *)fk_seh_information())
#define _exception_info GetExceptionInformation
#define exception_info GetExceptionInformation
#define AbnormalTermination() fk_seh_abnormal()
#define _abnormal_termination AbnormalTermination
#define abnormal_termination AbnormalTermination

/* The end of each header that a driver includes comes here: what follows is driver code. */
#ifndef FK_NO_SEH
#if defined(__clang__)
#pragma clang optimize off
#else
#pragma GCC optimize("O0")
#endif
#endif
