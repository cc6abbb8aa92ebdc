/* A filter that follows a wrong pointer. */
#include <fltKernel.h>

static PFLT_FILTER Filter;
static int *volatile Wrong = (int *)0x10;
DRIVER_INITIALIZE DriverEntry;

static FLT_PREOP_CALLBACK_STATUS PreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    *Wrong = 1;
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static const FLT_OPERATION_REGISTRATION Operations[] = { { IRP_MJ_CREATE, 0, PreCreate, NULL, NULL }, { IRP_MJ_OPERATION_END } };
static const FLT_REGISTRATION Registration = { sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, NULL, Operations };

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    FltRegisterFilter(DriverObject, &Registration, &Filter);
    return FltStartFiltering(Filter);
}
