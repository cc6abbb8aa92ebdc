/* A filter that gives up after it has registered. */
#include <fltKernel.h>

static PFLT_FILTER Filter;
DRIVER_INITIALIZE DriverEntry;

static const FLT_OPERATION_REGISTRATION Operations[] = { { IRP_MJ_OPERATION_END } };
static const FLT_REGISTRATION Registration = { sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, NULL, Operations };

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    FltRegisterFilter(DriverObject, &Registration, &Filter);
    return STATUS_INSUFFICIENT_RESOURCES;
}
