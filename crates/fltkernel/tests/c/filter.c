/* A filter that refuses names with "secret" in them and counts reads and writes of each open file. */
#include <fltKernel.h>

typedef struct _OPEN_FILE { LONG Reads, Writes; } OPEN_FILE, *POPEN_FILE;

static PFLT_FILTER Filter;
DRIVER_INITIALIZE DriverEntry;

static VOID Cleanup(PFLT_CONTEXT Context, FLT_CONTEXT_TYPE Type)
{
    POPEN_FILE file = (POPEN_FILE)Context;
    UNREFERENCED_PARAMETER(Type);
    DbgPrint("a.txt: %d reads, %d writes\n", file->Reads, file->Writes);
}

static FLT_PREOP_CALLBACK_STATUS PreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    PFLT_FILE_NAME_INFORMATION name;
    BOOLEAN secret;
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    PAGED_CODE();
    if (!NT_SUCCESS(FltGetFileNameInformation(Data, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &name)))
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    FltParseFileNameInformation(name);
    secret = wcsstr(name->Name.Buffer, L"secret") != NULL;
    FltReleaseFileNameInformation(name);
    if (!secret) return FLT_PREOP_SUCCESS_WITH_CALLBACK;
    Data->IoStatus.Status = STATUS_ACCESS_DENIED;
    Data->IoStatus.Information = 0;
    return FLT_PREOP_COMPLETE;
}

static FLT_POSTOP_CALLBACK_STATUS PostCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID Context, FLT_POST_OPERATION_FLAGS Flags)
{
    POPEN_FILE file;
    UNREFERENCED_PARAMETER(Context);
    if (!NT_SUCCESS(Data->IoStatus.Status) || FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING)) return FLT_POSTOP_FINISHED_PROCESSING;
    if (NT_SUCCESS(FltAllocateContext(FltObjects->Filter, FLT_STREAMHANDLE_CONTEXT, sizeof(OPEN_FILE), PagedPool, (PFLT_CONTEXT *)&file))) {
        RtlZeroMemory(file, sizeof *file);
        FltSetStreamHandleContext(FltObjects->Instance, FltObjects->FileObject, FLT_SET_CONTEXT_KEEP_IF_EXISTS, file, NULL);
        FltReleaseContext(file);
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static FLT_PREOP_CALLBACK_STATUS PreTransfer(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    POPEN_FILE file;
    UNREFERENCED_PARAMETER(CompletionContext);
    if (NT_SUCCESS(FltGetStreamHandleContext(FltObjects->Instance, FltObjects->FileObject, (PFLT_CONTEXT *)&file))) {
        InterlockedIncrement(Data->Iopb->MajorFunction == IRP_MJ_READ ? &file->Reads : &file->Writes);
        FltReleaseContext(file);
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static NTSTATUS Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}

static const FLT_CONTEXT_REGISTRATION Contexts[] = {
    { FLT_STREAMHANDLE_CONTEXT, 0, Cleanup, sizeof(OPEN_FILE), 'elif', NULL, NULL, NULL },
    { FLT_CONTEXT_END },
};
static const FLT_OPERATION_REGISTRATION Operations[] = {
    { IRP_MJ_CREATE, 0, PreCreate, PostCreate, NULL },
    { IRP_MJ_READ, 0, PreTransfer, NULL, NULL },
    { IRP_MJ_WRITE, 0, PreTransfer, NULL, NULL },
    { IRP_MJ_OPERATION_END },
};
static const FLT_REGISTRATION Registration = {
    sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, Contexts, Operations, Unload,
};

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS status = FltRegisterFilter(DriverObject, &Registration, &Filter);
    UNREFERENCED_PARAMETER(RegistryPath);
    if (!NT_SUCCESS(status)) return status;
    status = FltStartFiltering(Filter);
    if (!NT_SUCCESS(status)) FltUnregisterFilter(Filter);
    return status;
}
