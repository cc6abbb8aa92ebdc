/* Structured exceptions, one function a case; each returns 0 if all went as on Windows. */
#include <ntifs.h>

int puts(const char *);

static volatile int steps;
static int *volatile nothing = NULL;
static volatile int zero;

static void step(int n) { steps = steps * 10 + n; }

static int a_fault_in_the_body_runs_the_handler(void)
{
    NTSTATUS code = 0;
    try {
        step(1);
        *nothing = 1;
        step(2);
    } except (EXCEPTION_EXECUTE_HANDLER) {
        code = GetExceptionCode();
        step(3);
    }
    step(4);
    return steps != 134 || code != STATUS_ACCESS_VIOLATION;
}

static int no_fault_skips_the_handler(void)
{
    try { step(1); } except (EXCEPTION_EXECUTE_HANDLER) { step(2); }
    step(3);
    return steps != 13;
}

static int a_raised_status_is_the_code(void)
{
    NTSTATUS code = 0;
    try { ExRaiseStatus(STATUS_INSUFFICIENT_RESOURCES); } except (code = GetExceptionCode(), EXCEPTION_EXECUTE_HANDLER) { step(1); }
    return steps != 1 || code != STATUS_INSUFFICIENT_RESOURCES;
}

static int finally_runs_after_the_body(void)
{
    int abnormal = -1;
    try { step(1); } finally { abnormal = AbnormalTermination(); step(2); }
    step(3);
    return steps != 123 || abnormal != 0;
}

static int finally_runs_when_the_body_faults(void)
{
    int abnormal = -1;
    try {
        try { step(1); *nothing = 1; step(2); } finally { abnormal = AbnormalTermination(); step(3); }
        step(4);
    } except (EXCEPTION_EXECUTE_HANDLER) { step(5); }
    return steps != 135 || abnormal == 0;
}

static int leave_goes_to_the_end_of_the_body(void)
{
    try {
        for (int n = 0; n < 3; n++) { step(n + 1); if (n == 1) leave; }
        step(9);
    } finally { step(4); }
    return steps != 124;
}

static int leave_in_an_inner_body_stays_in_the_outer(void)
{
    try {
        try { step(1); leave; } finally { step(2); }
        step(3);
    } finally { step(4); }
    return steps != 1234;
}

static int leave_in_a_handler_leaves_the_outer_body(void)
{
    try {
        try { *nothing = 1; } except (EXCEPTION_EXECUTE_HANDLER) { step(1); leave; }
        step(2);
    } finally { step(3); }
    return steps != 13;
}

static int a_filter_that_declines_passes_it_on(void)
{
    try {
        try { *nothing = 1; } except (EXCEPTION_CONTINUE_SEARCH) { step(1); }
    } except ((NTSTATUS)GetExceptionCode() == STATUS_ACCESS_VIOLATION ? EXCEPTION_EXECUTE_HANDLER : EXCEPTION_CONTINUE_SEARCH) { step(2); }
    return steps != 2;
}

static int a_fault_in_a_handler_goes_further_out(void)
{
    try {
        try { *nothing = 1; } except (EXCEPTION_EXECUTE_HANDLER) { step(1); *nothing = 2; step(2); }
    } except (EXCEPTION_EXECUTE_HANDLER) { step(3); }
    return steps != 13;
}

static void faults(void) { *nothing = 1; }
static void raises_through_finally(void) { try { faults(); } finally { step(1); } }

static int a_fault_in_a_called_function_is_caught(void)
{
    try { raises_through_finally(); step(2); } except (EXCEPTION_EXECUTE_HANDLER) { step(3); }
    return steps != 13;
}

static int division(void)
{
    NTSTATUS code = 0;
    volatile int result = 1;
    try { result = result / zero; } except (EXCEPTION_EXECUTE_HANDLER) { code = GetExceptionCode(); }
#if defined(__x86_64__)
    return code != STATUS_INTEGER_DIVIDE_BY_ZERO;
#else
    return 0;
#endif
}

static int filter(unsigned int code, PEXCEPTION_POINTERS p)
{
    step(p->ExceptionRecord->ExceptionCode == (NTSTATUS)code && p->ExceptionRecord->ExceptionInformation[0] == 1 ? 1 : 9);
    return EXCEPTION_EXECUTE_HANDLER;
}

static int a_filter_sees_the_record(void)
{
    try { *nothing = 1; } except (filter(GetExceptionCode(), GetExceptionInformation())) { step(2); }
    return steps != 12;
}

static int changes_of_the_body_are_kept(int count)
{
    int local = count;
    char *text = "before";
    try { local++; text = "after"; *nothing = 1; local++; } except (EXCEPTION_EXECUTE_HANDLER) { step(1); }
    return local != count + 1 || text[0] != 'a' || steps != 1;
}

static int an_if_around_a_try_keeps_its_else(void)
{
    for (int n = 0; n < 2; n++)
        if (n == 0)
            try { step(1); } finally { step(2); }
        else
            step(3);
    return steps != 123;
}

static int returns_out(int n)
{
    try { if (n == 1) return 1; *nothing = 1; } except (EXCEPTION_EXECUTE_HANDLER) { return 2; }
    return 3;
}

static int a_return_leaves_no_frame_behind(void)
{
    for (int n = 0; n < 1000; n++)
        if (returns_out(1) != 1) return 1;
    try { *nothing = 1; } except (EXCEPTION_EXECUTE_HANDLER) { step(1); }
    return steps != 1 || returns_out(0) != 2;
}

static int a_probe_raises(void)
{
    NTSTATUS code = 0;
    try { ProbeForRead((PVOID)8, 4, 1); } except (EXCEPTION_EXECUTE_HANDLER) { code = GetExceptionCode(); }
    if (code != STATUS_ACCESS_VIOLATION) return 1;
    try { ProbeForRead((PVOID)0x10001, 4, 4); } except (EXCEPTION_EXECUTE_HANDLER) { code = GetExceptionCode(); }
    return code != STATUS_DATATYPE_MISALIGNMENT;
}

#define CASE(name) { #name, name }
static int with_a_local(void) { return changes_of_the_body_are_kept(5); }
static const struct { const char *name; int (*run)(void); } cases[] = {
    CASE(a_fault_in_the_body_runs_the_handler), CASE(no_fault_skips_the_handler), CASE(a_raised_status_is_the_code),
    CASE(finally_runs_after_the_body), CASE(finally_runs_when_the_body_faults), CASE(leave_goes_to_the_end_of_the_body),
    CASE(leave_in_an_inner_body_stays_in_the_outer), CASE(leave_in_a_handler_leaves_the_outer_body), CASE(a_filter_that_declines_passes_it_on),
    CASE(a_fault_in_a_handler_goes_further_out), CASE(a_fault_in_a_called_function_is_caught), CASE(division), CASE(a_filter_sees_the_record),
    CASE(with_a_local), CASE(an_if_around_a_try_keeps_its_else), CASE(a_return_leaves_no_frame_behind), CASE(a_probe_raises),
};

int main(void)
{
    int failed = 0;
    for (unsigned n = 0; n < RTL_NUMBER_OF(cases); n++) {
        steps = 0;
        if (cases[n].run()) {
            puts(cases[n].name);
            failed = 1;
        }
    }
    return failed;
}
