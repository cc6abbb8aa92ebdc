/* A filter that breaks the rules, each one once. */
#include <fltKernel.h>

static PFLT_FILTER Filter;
static KSPIN_LOCK Lock;
DRIVER_INITIALIZE DriverEntry;

static FLT_PREOP_CALLBACK_STATUS PreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    PFLT_FILE_NAME_INFORMATION name;
    PFLT_CONTEXT context;
    OBJECT_ATTRIBUTES attributes;
    HANDLE handle;
    CLIENT_ID client = { PsGetCurrentProcessId(), NULL };
    KIRQL irql;
    FltGetFileNameInformation(Data, FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT, &name);
    FltAllocateContext(FltObjects->Filter, FLT_STREAM_CONTEXT, 16, NonPagedPool, &context);
    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    ZwOpenProcess(&handle, PROCESS_ALL_ACCESS, &attributes, &client);
    *CompletionContext = ExAllocatePool2(POOL_FLAG_NON_PAGED, 32, 'kael');
    Data->Iopb->Parameters.Create.FileAttributes = FILE_ATTRIBUTE_HIDDEN;
    KeAcquireSpinLock(&Lock, &irql);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static NTSTATUS Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}

static const FLT_CONTEXT_REGISTRATION Contexts[] = {
    { FLT_STREAM_CONTEXT, 0, NULL, FLT_VARIABLE_SIZED_CONTEXTS, 'xtcl', NULL, NULL, NULL },
    { FLT_CONTEXT_END },
};
static const FLT_OPERATION_REGISTRATION Operations[] = { { IRP_MJ_CREATE, 0, PreCreate, NULL, NULL }, { IRP_MJ_OPERATION_END } };
static const FLT_REGISTRATION Registration = { sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, Contexts, Operations, Unload };

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    KeInitializeSpinLock(&Lock);
    FltRegisterFilter(DriverObject, &Registration, &Filter);
    return FltStartFiltering(Filter);
}
