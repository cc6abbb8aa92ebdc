/* Structured exception handling, as far as it goes without Microsoft's compiler: __try, __leave and __finally. There is no
 * __except, because nothing throws. A return, a break or a goto out of a __try does not run its __finally.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef FLTWIN32_EXCPT_H
#define FLTWIN32_EXCPT_H

#define EXCEPTION_EXECUTE_HANDLER 1
#define EXCEPTION_CONTINUE_SEARCH 0
#define EXCEPTION_CONTINUE_EXECUTION (-1)

#ifndef __cplusplus
/* A loop of two rounds: the body, and what follows it. The innermost __try's variable is the one that __leave sees. */
struct fltwin32_try {
    void *end;
    int round;
};
#define FLTWIN32_TRY_(n)                                                                        \
    for (struct fltwin32_try fltwin32_try = {&&fltwin32_leave_##n, 0}; fltwin32_try.round < 2;  \
         fltwin32_try.round++)                                                                  \
        if (0)                                                                                  \
        fltwin32_leave_##n:                                                                     \
            continue;                                                                           \
        else if (fltwin32_try.round == 0)
#define FLTWIN32_TRY(n) FLTWIN32_TRY_(n)
#define __try FLTWIN32_TRY(__COUNTER__)
#define __leave goto *fltwin32_try.end
#define __finally else
#define try __try
#define leave __leave
#define finally __finally
#endif

#endif
