/* Drivers in general: objects of the kernel, memory, locks, waiting, threads, I/O requests. */
#pragma once

#include "../ntdef.h"
#include "../ntstatus.h"

EXTERN_C_START

/* ---- opaque objects ---- */
typedef struct _KPROCESS *PEPROCESS, *PKPROCESS, *PRKPROCESS, EPROCESS, KPROCESS;
typedef struct _ETHREAD *PETHREAD, ETHREAD;
typedef struct _KTHREAD *PKTHREAD, *PRKTHREAD, KTHREAD;
typedef struct _OBJECT_TYPE *POBJECT_TYPE, OBJECT_TYPE;
typedef struct _IO_WORKITEM *PIO_WORKITEM, IO_WORKITEM;
typedef struct _IO_TIMER *PIO_TIMER;
typedef struct _CALLBACK_OBJECT *PCALLBACK_OBJECT;
typedef struct _EJOB *PEJOB;
typedef struct _EX_TIMER *PEX_TIMER;
typedef struct _KTRANSACTION KTRANSACTION, *PKTRANSACTION;
typedef struct _KENLISTMENT KENLISTMENT, *PKENLISTMENT;
typedef struct _KRESOURCEMANAGER KRESOURCEMANAGER, *PKRESOURCEMANAGER;
typedef struct _KTM KTM, *PKTM;
typedef struct _CONTEXT CONTEXT, *PCONTEXT;
typedef struct _XSAVE_AREA XSAVE_AREA, *PXSAVE_AREA;
typedef struct _EPROCESS_QUOTA_BLOCK *PEPROCESS_QUOTA_BLOCK;
typedef PVOID PSID, PACCESS_TOKEN, PSECTION;
typedef ULONG SECURITY_INFORMATION, *PSECURITY_INFORMATION, DEVICE_TYPE, EXECUTION_STATE;
typedef USHORT SECURITY_DESCRIPTOR_CONTROL, *PSECURITY_DESCRIPTOR_CONTROL;
typedef CHAR KPROCESSOR_MODE;
typedef enum _MODE { KernelMode, UserMode, MaximumMode } MODE;
typedef ULONG_PTR KSPIN_LOCK, *PKSPIN_LOCK, *PKAFFINITY, ERESOURCE_THREAD, *PERESOURCE_THREAD, EX_PUSH_LOCK, *PEX_PUSH_LOCK, PFN_NUMBER, *PPFN_NUMBER;
typedef LONG EX_SPIN_LOCK, *PEX_SPIN_LOCK;
typedef enum _LOCK_OPERATION { IoReadAccess, IoWriteAccess, IoModifyAccess } LOCK_OPERATION, *PLOCK_OPERATION;
typedef enum _MEMORY_CACHING_TYPE {
    MmNotMapped = -1, MmNonCached, MmCached, MmWriteCombined, MmHardwareCoherentCached, MmNonCachedUnordered, MmUSWCCached, MmMaximumCacheType
} MEMORY_CACHING_TYPE, *PMEMORY_CACHING_TYPE;
typedef enum _KWAIT_REASON {
    Executive, FreePage, PageIn, PoolAllocation, DelayExecution, Suspended, UserRequest, WrExecutive, WrFreePage, WrPageIn, WrPoolAllocation,
    WrDelayExecution, WrSuspended, WrUserRequest, WrSpare0, WrQueue, WrLpcReceive, WrLpcReply, WrVirtualMemory, WrPageOut, WrRendezvous, WrKeyedEvent,
    WrTerminated, WrProcessInSwap, WrCpuRateControl, WrCalloutStack, WrKernel, WrResource, WrPushLock, WrMutex, WrQuantumEnd, WrDispatchInt, WrPreempted,
    WrYieldExecution, WrFastMutex, WrGuardedMutex, WrRundown, WrAlertByThreadId, WrDeferredPreempt, WrPhysicalFault, WrIoRing, WrMdlCache, MaximumWaitReason
} KWAIT_REASON, *PKWAIT_REASON;
typedef enum _POOL_TYPE {
    NonPagedPool, NonPagedPoolBase = 0, NonPagedPoolExecute = 0, PagedPool, NonPagedPoolBaseMustSucceed, NonPagedPoolMustSucceed = 2, DontUseThisType,
    NonPagedPoolBaseCacheAligned, NonPagedPoolCacheAligned = 4, PagedPoolCacheAligned, NonPagedPoolBaseCacheAlignedMustS, NonPagedPoolCacheAlignedMustS = 6,
    MaxPoolType, NonPagedPoolSession = 32, PagedPoolSession, NonPagedPoolMustSucceedSession, DontUseThisTypeSession, NonPagedPoolCacheAlignedSession,
    PagedPoolCacheAlignedSession, NonPagedPoolCacheAlignedMustSSession, NonPagedPoolNx = 512, NonPagedPoolNxCacheAligned = 516, NonPagedPoolSessionNx = 544
} POOL_TYPE, *PPOOL_TYPE;
typedef enum _EX_POOL_PRIORITY {
    LowPoolPriority, LowPoolPrioritySpecialPoolOverrun = 8, LowPoolPrioritySpecialPoolUnderrun, NormalPoolPriority = 16,
    NormalPoolPrioritySpecialPoolOverrun = 24, NormalPoolPrioritySpecialPoolUnderrun, HighPoolPriority = 32, HighPoolPrioritySpecialPoolOverrun = 40,
    HighPoolPrioritySpecialPoolUnderrun
} EX_POOL_PRIORITY, *PEX_POOL_PRIORITY;
typedef enum _KINTERRUPT_MODE { LevelSensitive, Latched } KINTERRUPT_MODE, *PKINTERRUPT_MODE;
typedef enum _WORK_QUEUE_TYPE {
    CriticalWorkQueue, DelayedWorkQueue, HyperCriticalWorkQueue, NormalWorkQueue, BackgroundWorkQueue, RealTimeWorkQueue, SuperCriticalWorkQueue,
    MaximumWorkQueue, CustomPriorityWorkQueue = 32
} WORK_QUEUE_TYPE, *PWORK_QUEUE_TYPE;
typedef enum _DEVICE_RELATION_TYPE {
    BusRelations, EjectionRelations, PowerRelations, RemovalRelations, TargetDeviceRelation, SingleBusRelations, TransportRelations
} DEVICE_RELATION_TYPE, *PDEVICE_RELATION_TYPE;
typedef enum _IO_ALLOCATION_ACTION { KeepObject = 1, DeallocateObject, DeallocateObjectKeepRegisters } IO_ALLOCATION_ACTION, *PIO_ALLOCATION_ACTION;
typedef enum _IO_SESSION_STATE {
    IoSessionStateCreated = 1, IoSessionStateInitialized, IoSessionStateConnected, IoSessionStateDisconnected, IoSessionStateDisconnectedLoggedOn,
    IoSessionStateLoggedOn, IoSessionStateLoggedOff, IoSessionStateTerminated, IoSessionStateMax
} IO_SESSION_STATE, *PIO_SESSION_STATE;
typedef enum _KBUGCHECK_CALLBACK_REASON {
    KbCallbackInvalid, KbCallbackReserved1, KbCallbackSecondaryDumpData, KbCallbackDumpIo, KbCallbackAddPages, KbCallbackSecondaryMultiPartDumpData,
    KbCallbackRemovePages, KbCallbackTriageDumpData, KbCallbackReserved2
} KBUGCHECK_CALLBACK_REASON, *PKBUGCHECK_CALLBACK_REASON;
typedef enum _SECURITY_IMPERSONATION_LEVEL {
    SecurityAnonymous, SecurityIdentification, SecurityImpersonation, SecurityDelegation
} SECURITY_IMPERSONATION_LEVEL, *PSECURITY_IMPERSONATION_LEVEL;
typedef enum _FILE_INFORMATION_CLASS {
    FileDirectoryInformation = 1, FileFullDirectoryInformation, FileBothDirectoryInformation, FileBasicInformation, FileStandardInformation,
    FileInternalInformation, FileEaInformation, FileAccessInformation, FileNameInformation, FileRenameInformation, FileLinkInformation, FileNamesInformation,
    FileDispositionInformation, FilePositionInformation, FileFullEaInformation, FileModeInformation, FileAlignmentInformation, FileAllInformation,
    FileAllocationInformation, FileEndOfFileInformation, FileAlternateNameInformation, FileStreamInformation, FilePipeInformation, FilePipeLocalInformation,
    FilePipeRemoteInformation, FileMailslotQueryInformation, FileMailslotSetInformation, FileCompressionInformation, FileObjectIdInformation,
    FileCompletionInformation, FileMoveClusterInformation, FileQuotaInformation, FileReparsePointInformation, FileNetworkOpenInformation,
    FileAttributeTagInformation, FileTrackingInformation, FileIdBothDirectoryInformation, FileIdFullDirectoryInformation, FileValidDataLengthInformation,
    FileShortNameInformation, FileIoCompletionNotificationInformation, FileIoStatusBlockRangeInformation, FileIoPriorityHintInformation,
    FileSfioReserveInformation, FileSfioVolumeInformation, FileHardLinkInformation, FileProcessIdsUsingFileInformation, FileNormalizedNameInformation,
    FileNetworkPhysicalNameInformation, FileIdGlobalTxDirectoryInformation, FileIsRemoteDeviceInformation, FileUnusedInformation, FileNumaNodeInformation,
    FileStandardLinkInformation, FileRemoteProtocolInformation, FileRenameInformationBypassAccessCheck, FileLinkInformationBypassAccessCheck,
    FileVolumeNameInformation, FileIdInformation, FileIdExtdDirectoryInformation, FileReplaceCompletionInformation, FileHardLinkFullIdInformation,
    FileIdExtdBothDirectoryInformation, FileDispositionInformationEx, FileRenameInformationEx, FileRenameInformationExBypassAccessCheck,
    FileDesiredStorageClassInformation, FileStatInformation, FileMemoryPartitionInformation, FileStatLxInformation, FileCaseSensitiveInformation,
    FileLinkInformationEx, FileLinkInformationExBypassAccessCheck, FileStorageReserveIdInformation, FileCaseSensitiveInformationForceAccessCheck,
    FileKnownFolderInformation, FileMaximumInformation
} FILE_INFORMATION_CLASS, *PFILE_INFORMATION_CLASS;
typedef enum _FS_INFORMATION_CLASS {
    FileFsVolumeInformation = 1, FileFsLabelInformation, FileFsSizeInformation, FileFsDeviceInformation, FileFsAttributeInformation,
    FileFsControlInformation, FileFsFullSizeInformation, FileFsObjectIdInformation, FileFsDriverPathInformation, FileFsVolumeFlagsInformation,
    FileFsSectorSizeInformation, FileFsDataCopyInformation, FileFsMetadataSizeInformation, FileFsFullSizeInformationEx, FileFsMaximumInformation
} FS_INFORMATION_CLASS, *PFS_INFORMATION_CLASS;
typedef enum _DIRECTORY_NOTIFY_INFORMATION_CLASS {
    DirectoryNotifyInformation = 1, DirectoryNotifyExtendedInformation, DirectoryNotifyFullInformation, DirectoryNotifyMaximumInformation
} DIRECTORY_NOTIFY_INFORMATION_CLASS, *PDIRECTORY_NOTIFY_INFORMATION_CLASS;
typedef enum _KEY_INFORMATION_CLASS {
    KeyBasicInformation, KeyNodeInformation, KeyFullInformation, KeyNameInformation, KeyCachedInformation, KeyFlagsInformation, KeyVirtualizationInformation,
    KeyHandleTagsInformation, KeyTrustInformation, KeyLayerInformation, MaxKeyInfoClass
} KEY_INFORMATION_CLASS, *PKEY_INFORMATION_CLASS;
typedef enum _KEY_VALUE_INFORMATION_CLASS {
    KeyValueBasicInformation, KeyValueFullInformation, KeyValuePartialInformation, KeyValueFullInformationAlign64, KeyValuePartialInformationAlign64,
    KeyValueLayerInformation, MaxKeyValueInfoClass
} KEY_VALUE_INFORMATION_CLASS, *PKEY_VALUE_INFORMATION_CLASS;
typedef enum _KEY_SET_INFORMATION_CLASS {
    KeyWriteTimeInformation, KeyWow64FlagsInformation, KeyControlFlagsInformation, KeySetVirtualizationInformation, KeySetDebugInformation,
    KeySetHandleTagsInformation, KeySetLayerInformation, MaxKeySetInfoClass
} KEY_SET_INFORMATION_CLASS, *PKEY_SET_INFORMATION_CLASS;
typedef enum _PROCESSINFOCLASS {
    ProcessBasicInformation, ProcessQuotaLimits, ProcessIoCounters, ProcessVmCounters, ProcessTimes, ProcessBasePriority, ProcessRaisePriority,
    ProcessDebugPort, ProcessExceptionPort, ProcessAccessToken, ProcessLdtInformation, ProcessLdtSize, ProcessDefaultHardErrorMode, ProcessIoPortHandlers,
    ProcessPooledUsageAndLimits, ProcessWorkingSetWatch, ProcessUserModeIOPL, ProcessEnableAlignmentFaultFixup, ProcessPriorityClass, ProcessWx86Information,
    ProcessHandleCount, ProcessAffinityMask, ProcessPriorityBoost, ProcessDeviceMap, ProcessSessionInformation, ProcessForegroundInformation,
    ProcessWow64Information, ProcessImageFileName, ProcessLUIDDeviceMapsEnabled, ProcessBreakOnTermination, ProcessDebugObjectHandle, ProcessDebugFlags,
    ProcessHandleTracing, ProcessIoPriority, ProcessExecuteFlags, ProcessTlsInformation, ProcessCookie, ProcessImageInformation, ProcessCycleTime,
    ProcessPagePriority, ProcessInstrumentationCallback, ProcessThreadStackAllocation, ProcessWorkingSetWatchEx, ProcessImageFileNameWin32,
    ProcessImageFileMapping, ProcessAffinityUpdateMode, ProcessMemoryAllocationMode, ProcessGroupInformation, ProcessTokenVirtualizationEnabled,
    ProcessOwnerInformation, ProcessWindowInformation, ProcessHandleInformation, ProcessMitigationPolicy, ProcessDynamicFunctionTableInformation,
    ProcessHandleCheckingMode, ProcessKeepAliveCount, ProcessRevokeFileHandles, ProcessWorkingSetControl, ProcessHandleTable, ProcessCheckStackExtentsMode,
    ProcessCommandLineInformation, ProcessProtectionInformation, ProcessMemoryExhaustion, ProcessFaultInformation, ProcessTelemetryIdInformation,
    ProcessCommitReleaseInformation, ProcessReserved1Information, ProcessReserved2Information, ProcessSubsystemProcess, ProcessInPrivate = 70,
    ProcessRaiseUMExceptionOnInvalidHandleClose, ProcessSubsystemInformation = 75, ProcessWin32kSyscallFilterInformation = 79,
    ProcessEnergyTrackingState = 82, MaxProcessInfoClass
} PROCESSINFOCLASS, *PPROCESSINFOCLASS;
typedef enum _THREADINFOCLASS {
    ThreadBasicInformation, ThreadTimes, ThreadPriority, ThreadBasePriority, ThreadAffinityMask, ThreadImpersonationToken, ThreadDescriptorTableEntry,
    ThreadEnableAlignmentFaultFixup, ThreadEventPair_Reusable, ThreadQuerySetWin32StartAddress, ThreadZeroTlsCell, ThreadPerformanceCount,
    ThreadAmILastThread, ThreadIdealProcessor, ThreadPriorityBoost, ThreadSetTlsArrayAddress, ThreadIsIoPending, ThreadHideFromDebugger,
    ThreadBreakOnTermination, ThreadSwitchLegacyState, ThreadIsTerminated, ThreadLastSystemCall, ThreadIoPriority, ThreadCycleTime, ThreadPagePriority,
    ThreadActualBasePriority, ThreadTebInformation, ThreadCSwitchMon, ThreadCSwitchPmu, ThreadWow64Context, ThreadGroupInformation, ThreadUmsInformation,
    ThreadCounterProfiling, ThreadIdealProcessorEx, ThreadCpuAccountingInformation, ThreadSuspendCount, ThreadNameInformation = 38,
    ThreadActualGroupAffinity = 41, ThreadDynamicCodePolicyInfo, ThreadSubsystemInformation = 45, MaxThreadInfoClass = 56
} THREADINFOCLASS, *PTHREADINFOCLASS;
typedef enum _SECTION_INHERIT { ViewShare = 1, ViewUnmap } SECTION_INHERIT, *PSECTION_INHERIT;
typedef enum _DEVICE_REGISTRY_PROPERTY {
    DevicePropertyBootConfiguration = 3, DevicePropertyBootConfigurationTranslated, DevicePropertyLegacyBusType = 13, DevicePropertyBusNumber,
    DevicePropertyAddress = 16, DevicePropertyUINumber, DevicePropertyInstallState, DevicePropertyRemovalPolicy, DevicePropertyResourceRequirements,
    DevicePropertyAllocatedResources, DevicePropertyDeviceDescription = 4096, DevicePropertyClassName = 4101, DevicePropertyClassGuid,
    DevicePropertyDriverKeyName, DevicePropertyManufacturer, DevicePropertyFriendlyName, DevicePropertyLocationInformation,
    DevicePropertyPhysicalDeviceObjectName, DevicePropertyEnumeratorName = 4111, DevicePropertyContainerID = 4118, DevicePropertyBusTypeGuid = 8204,
    DevicePropertyHardwareID = 16385, DevicePropertyCompatibleIDs
} DEVICE_REGISTRY_PROPERTY, *PDEVICE_REGISTRY_PROPERTY;
typedef enum _DRIVER_REGKEY_TYPE { DriverRegKeyParameters, DriverRegKeyPersistentState, DriverRegKeySharedPersistentState } DRIVER_REGKEY_TYPE, *PDRIVER_REGKEY_TYPE;
typedef enum _REG_NOTIFY_CLASS {
    RegNtDeleteKey, RegNtPreDeleteKey = 0, RegNtPreSetValueKey, RegNtSetValueKey = 1, RegNtDeleteValueKey, RegNtPreDeleteValueKey = 2,
    RegNtPreSetInformationKey, RegNtSetInformationKey = 3, RegNtPreRenameKey, RegNtRenameKey = 4, RegNtEnumerateKey, RegNtPreEnumerateKey = 5,
    RegNtEnumerateValueKey, RegNtPreEnumerateValueKey = 6, RegNtPreQueryKey, RegNtQueryKey = 7, RegNtPreQueryValueKey, RegNtQueryValueKey = 8,
    RegNtPreQueryMultipleValueKey, RegNtQueryMultipleValueKey = 9, RegNtPreCreateKey, RegNtPostCreateKey, RegNtPreOpenKey, RegNtPostOpenKey,
    RegNtKeyHandleClose, RegNtPreKeyHandleClose = 14, RegNtPostDeleteKey, RegNtPostSetValueKey, RegNtPostDeleteValueKey, RegNtPostSetInformationKey,
    RegNtPostRenameKey, RegNtPostEnumerateKey, RegNtPostEnumerateValueKey, RegNtPostQueryKey, RegNtPostQueryValueKey, RegNtPostQueryMultipleValueKey,
    RegNtPostKeyHandleClose, RegNtPreCreateKeyEx, RegNtPostCreateKeyEx, RegNtPreOpenKeyEx, RegNtPostOpenKeyEx, RegNtPreFlushKey, RegNtPostFlushKey,
    RegNtPreLoadKey, RegNtPostLoadKey, RegNtPreUnLoadKey, RegNtPostUnLoadKey, RegNtPreQueryKeySecurity, RegNtPostQueryKeySecurity, RegNtPreSetKeySecurity,
    RegNtPostSetKeySecurity, RegNtCallbackObjectContextCleanup, RegNtPreRestoreKey, RegNtPostRestoreKey, RegNtPreSaveKey, RegNtPostSaveKey,
    RegNtPreReplaceKey, RegNtPostReplaceKey, RegNtPreQueryKeyName, RegNtPostQueryKeyName, RegNtPreSaveMergedKey, RegNtPostSaveMergedKey, MaxRegNtNotifyClass
} REG_NOTIFY_CLASS, *PREG_NOTIFY_CLASS;
typedef enum _OBJECT_INFORMATION_CLASS { ObjectBasicInformation, ObjectTypeInformation = 2 } OBJECT_INFORMATION_CLASS, *POBJECT_INFORMATION_CLASS;
typedef enum _MM_PAGE_PRIORITY { LowPagePriority, NormalPagePriority = 16, HighPagePriority = 32 } MM_PAGE_PRIORITY, *PMM_PAGE_PRIORITY;
typedef ULONG POOL_FLAGS_32;
typedef ULONG64 POOL_FLAGS;
#define NormalPagePriority 16
#define LowPagePriority 0
#define HighPagePriority 32
#define MdlMappingNoWrite 0x80000000
#define MdlMappingNoExecute 0x40000000

/* ---- interrupt request levels ---- */
#define PASSIVE_LEVEL 0
#define LOW_LEVEL 0
#define APC_LEVEL 1
#define DISPATCH_LEVEL 2
#define CMCI_LEVEL 5
#define CLOCK_LEVEL 13
#define IPI_LEVEL 14
#define DRS_LEVEL 14
#define POWER_LEVEL 14
#define PROFILE_LEVEL 15
#define HIGH_LEVEL 15

/* ---- objects that threads wait for ---- */
typedef struct _DISPATCHER_HEADER {
    union { struct { UCHAR Type, Signalling, Size, Reserved1; }; LONG Lock; };
    LONG SignalState;
    LIST_ENTRY WaitListHead;
} DISPATCHER_HEADER, *PDISPATCHER_HEADER;
typedef struct _KEVENT { DISPATCHER_HEADER Header; } KEVENT, *PKEVENT, *PRKEVENT;
typedef struct _KSEMAPHORE { DISPATCHER_HEADER Header; LONG Limit; } KSEMAPHORE, *PKSEMAPHORE, *PRKSEMAPHORE;
typedef struct _KMUTANT {
    DISPATCHER_HEADER Header;
    LIST_ENTRY MutantListEntry;
    PKTHREAD OwnerThread;
    BOOLEAN Abandoned;
    UCHAR ApcDisable;
} KMUTANT, *PKMUTANT, *PRKMUTANT, KMUTEX, *PKMUTEX, *PRKMUTEX;
typedef struct _KWAIT_BLOCK { LIST_ENTRY WaitListEntry; PVOID Object[4]; } KWAIT_BLOCK, *PKWAIT_BLOCK;
struct _KDPC;
typedef VOID KDEFERRED_ROUTINE(struct _KDPC *, PVOID, PVOID, PVOID);
typedef KDEFERRED_ROUTINE *PKDEFERRED_ROUTINE;
typedef struct _KDPC {
    union { ULONG TargetInfoAsUlong; struct { UCHAR Type, Importance; volatile USHORT Number; }; };
    SINGLE_LIST_ENTRY DpcListEntry;
    KAFFINITY ProcessorHistory;
    PKDEFERRED_ROUTINE DeferredRoutine;
    PVOID DeferredContext, SystemArgument1, SystemArgument2, DpcData;
} KDPC, *PKDPC, *PRKDPC;
typedef struct _KTIMER {
    DISPATCHER_HEADER Header;
    ULARGE_INTEGER DueTime;
    LIST_ENTRY TimerListEntry;
    PKDPC Dpc;
    ULONG Processor DECLSPEC_ALIGN(4);
    ULONG Period;
} KTIMER, *PKTIMER, *PRKTIMER;
typedef enum _KDPC_IMPORTANCE { LowImportance, MediumImportance, HighImportance, MediumHighImportance } KDPC_IMPORTANCE;
typedef struct _KAPC {
    UCHAR Type, SpareByte0, Size, SpareByte1;
    ULONG SpareLong0;
    PKTHREAD Thread;
    LIST_ENTRY ApcListEntry;
    PVOID Reserved[3], NormalContext, SystemArgument1, SystemArgument2;
    CCHAR ApcStateIndex;
    KPROCESSOR_MODE ApcMode;
    BOOLEAN Inserted;
} KAPC, *PKAPC, *PRKAPC;
typedef struct _KAPC_STATE { LIST_ENTRY ApcListHead[2]; PKPROCESS Process; BOOLEAN InProgressFlags, KernelApcPending, UserApcPendingAll; } KAPC_STATE, *PKAPC_STATE, *PRKAPC_STATE;

/* ---- locks ---- */
typedef struct _FAST_MUTEX { LONG Count; PVOID Owner; ULONG Contention; KEVENT Event; ULONG OldIrql; } FAST_MUTEX, *PFAST_MUTEX, KGUARDED_MUTEX, *PKGUARDED_MUTEX;
typedef struct _OWNER_ENTRY { ERESOURCE_THREAD OwnerThread; ULONG TableSize; } OWNER_ENTRY, *POWNER_ENTRY;
typedef struct _ERESOURCE {
    LIST_ENTRY SystemResourcesList;
    POWNER_ENTRY OwnerTable;
    SHORT ActiveCount;
    USHORT Flag;
    PVOID SharedWaiters, ExclusiveWaiters;
    OWNER_ENTRY OwnerEntry;
    ULONG ActiveEntries, ContentionCount, NumberOfSharedWaiters, NumberOfExclusiveWaiters;
    PVOID Reserved2;
    union { PVOID Address; ULONG_PTR CreatorBackTraceIndex; };
    KSPIN_LOCK SpinLock;
} ERESOURCE, *PERESOURCE;
typedef struct _KSPIN_LOCK_QUEUE { struct _KSPIN_LOCK_QUEUE *volatile Next; PKSPIN_LOCK volatile Lock; } KSPIN_LOCK_QUEUE, *PKSPIN_LOCK_QUEUE;
typedef struct _KLOCK_QUEUE_HANDLE { KSPIN_LOCK_QUEUE LockQueue; KIRQL OldIrql; } KLOCK_QUEUE_HANDLE, *PKLOCK_QUEUE_HANDLE;
typedef struct _EX_RUNDOWN_REF { union { ULONG_PTR Count; PVOID Ptr; }; } EX_RUNDOWN_REF, *PEX_RUNDOWN_REF;
typedef struct _EX_RUNDOWN_REF_CACHE_AWARE *PEX_RUNDOWN_REF_CACHE_AWARE;

/* ---- pool and lookaside lists ---- */
typedef PVOID ALLOCATE_FUNCTION(POOL_TYPE, SIZE_T, ULONG);
typedef VOID FREE_FUNCTION(PVOID);
typedef ALLOCATE_FUNCTION *PALLOCATE_FUNCTION;
typedef FREE_FUNCTION *PFREE_FUNCTION;
typedef struct DECLSPEC_ALIGN(16) _GENERAL_LOOKASIDE { ULONGLONG Reserved[16]; } GENERAL_LOOKASIDE, *PGENERAL_LOOKASIDE;
typedef struct _NPAGED_LOOKASIDE_LIST { GENERAL_LOOKASIDE L; } NPAGED_LOOKASIDE_LIST, *PNPAGED_LOOKASIDE_LIST;
typedef struct _PAGED_LOOKASIDE_LIST { GENERAL_LOOKASIDE L; } PAGED_LOOKASIDE_LIST, *PPAGED_LOOKASIDE_LIST;
typedef struct _LOOKASIDE_LIST_EX { GENERAL_LOOKASIDE L; } LOOKASIDE_LIST_EX, *PLOOKASIDE_LIST_EX;
typedef PVOID (*PALLOCATE_FUNCTION_EX)(POOL_TYPE, SIZE_T, ULONG, PLOOKASIDE_LIST_EX);
typedef VOID (*PFREE_FUNCTION_EX)(PVOID, PLOOKASIDE_LIST_EX);
#define POOL_FLAG_REQUIRED_START 0x1ULL
#define POOL_FLAG_USE_QUOTA 0x1ULL
#define POOL_FLAG_UNINITIALIZED 0x2ULL
#define POOL_FLAG_SESSION 0x4ULL
#define POOL_FLAG_CACHE_ALIGNED 0x8ULL
#define POOL_FLAG_RESERVED1 0x10ULL
#define POOL_FLAG_RAISE_ON_FAILURE 0x20ULL
#define POOL_FLAG_NON_PAGED 0x40ULL
#define POOL_FLAG_NON_PAGED_EXECUTE 0x80ULL
#define POOL_FLAG_PAGED 0x100ULL
#define POOL_RAISE_IF_ALLOCATION_FAILURE 16
#define POOL_QUOTA_FAIL_INSTEAD_OF_RAISE 8
#define POOL_COLD_ALLOCATION 256
#define POOL_NX_ALLOCATION 512
#define POOL_ZERO_ALLOCATION 1024
#define DrvRtPoolNxOptIn 1
typedef struct _POOL_EXTENDED_PARAMETER { ULONG64 Type : 8, Optional : 1, Reserved : 55; union { ULONG64 Reserved2; PVOID Reserved3; EX_POOL_PRIORITY Priority; }; } POOL_EXTENDED_PARAMETER, *PPOOL_EXTENDED_PARAMETER;
typedef const POOL_EXTENDED_PARAMETER *PCPOOL_EXTENDED_PARAMETER;
#define PAGE_SIZE 0x1000
#define PAGE_SHIFT 12
#define ROUND_TO_PAGES(size) (((ULONG_PTR)(size) + PAGE_SIZE - 1) & ~((ULONG_PTR)PAGE_SIZE - 1))
#define BYTES_TO_PAGES(size) (((size) >> PAGE_SHIFT) + (((size) & (PAGE_SIZE - 1)) != 0))
#define BYTE_OFFSET(p) ((ULONG)((LONG_PTR)(p) & (PAGE_SIZE - 1)))
#define PAGE_ALIGN(p) ((PVOID)((ULONG_PTR)(p) & ~((ULONG_PTR)PAGE_SIZE - 1)))
#define ADDRESS_AND_SIZE_TO_SPAN_PAGES(p, size) ((ULONG)((BYTE_OFFSET(p) + ((SIZE_T)(size)) + (PAGE_SIZE - 1)) >> PAGE_SHIFT))
#define ALIGN_DOWN_BY(n, to) ((ULONG_PTR)(n) & ~((ULONG_PTR)(to) - 1))
#define ALIGN_UP_BY(n, to) (ALIGN_DOWN_BY(((ULONG_PTR)(n) + (to) - 1), to))
#define ALIGN_DOWN(n, type) ALIGN_DOWN_BY(n, sizeof(type))
#define ALIGN_UP(n, type) ALIGN_UP_BY(n, sizeof(type))
#define ALIGN_DOWN_POINTER_BY(p, to) ((PVOID)ALIGN_DOWN_BY(p, to))
#define ALIGN_UP_POINTER_BY(p, to) ((PVOID)ALIGN_UP_BY(p, to))
#define ROUND_TO_SIZE(n, to) (((ULONG_PTR)(n) + ((to) - 1)) & ~((ULONG_PTR)(to) - 1))
#define IS_ALIGNED(p, to) (((ULONG_PTR)(p) & ((to) - 1)) == 0)
#define Add2Ptr(p, size) ((PVOID)((PUCHAR)(p) + (size)))
#define PtrOffset(base, p) ((ULONG)((ULONG_PTR)(p) - (ULONG_PTR)(base)))
#define LongAlign(p) ((((ULONG)(p)) + 3) & 0xfffffffc)
#define QuadAlign(p) ((((ULONG)(p)) + 7) & 0xfffffff8)

/* ---- memory descriptors ---- */
struct _IRP;
typedef struct _MDL {
    struct _MDL *Next;
    CSHORT Size, MdlFlags;
    PEPROCESS Process;
    PVOID MappedSystemVa, StartVa;
    ULONG ByteCount, ByteOffset;
} MDL, *PMDL;
typedef MDL *PMDLX;
#define MDL_ALLOCATED_FIXED_SIZE 8
#define MDL_DESCRIBES_AWE 0x400
#define MDL_FREE_EXTRA_PTES 0x200
#define MDL_INTERNAL 0x8000
#define MDL_LOCKED_PAGE_TABLES 0x100
#define MDL_PAGE_CONTENTS_INVARIANT 0x4000
#define MDL_CACHE 0x1F4
#define MmGetMdlVirtualAddress(mdl) ((PVOID)((PCHAR)((mdl)->StartVa) + (mdl)->ByteOffset))
#define MmGetMdlByteCount(mdl) ((mdl)->ByteCount)
#define MmGetMdlByteOffset(mdl) ((mdl)->ByteOffset)
#define MmGetMdlBaseVa(mdl) ((mdl)->StartVa)
#define MmPrepareMdlForReuse(mdl) ((void)(mdl))
#define MmGetSystemAddressForMdl(mdl) MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority)
PVOID MmGetSystemAddressForMdlSafe(PMDL, ULONG);
PVOID MmMapLockedPagesSpecifyCache(PMDL, KPROCESSOR_MODE, MEMORY_CACHING_TYPE, PVOID, ULONG, ULONG);
VOID MmProbeAndLockPages(PMDL, KPROCESSOR_MODE, LOCK_OPERATION);
VOID MmUnlockPages(PMDL);
PMDL IoAllocateMdl(PVOID, ULONG, BOOLEAN, BOOLEAN, struct _IRP *);

/* ---- I/O ---- */
typedef struct _IO_STATUS_BLOCK { union { NTSTATUS Status; PVOID Pointer; }; ULONG_PTR Information; } IO_STATUS_BLOCK, *PIO_STATUS_BLOCK;
typedef VOID (*PIO_APC_ROUTINE)(PVOID, PIO_STATUS_BLOCK, ULONG);
struct _DEVICE_OBJECT;
struct _DRIVER_OBJECT;
struct _FILE_OBJECT;
struct _IRP;
struct _IO_STACK_LOCATION;
typedef NTSTATUS DRIVER_INITIALIZE(struct _DRIVER_OBJECT *, PUNICODE_STRING);
typedef VOID DRIVER_UNLOAD(struct _DRIVER_OBJECT *);
typedef NTSTATUS DRIVER_DISPATCH(struct _DEVICE_OBJECT *, struct _IRP *);
typedef DRIVER_DISPATCH DRIVER_DISPATCH_RAISED, DRIVER_DISPATCH_PAGED;
typedef VOID DRIVER_STARTIO(struct _DEVICE_OBJECT *, struct _IRP *);
typedef VOID DRIVER_CANCEL(struct _DEVICE_OBJECT *, struct _IRP *);
typedef NTSTATUS DRIVER_ADD_DEVICE(struct _DRIVER_OBJECT *, struct _DEVICE_OBJECT *);
typedef NTSTATUS IO_COMPLETION_ROUTINE(struct _DEVICE_OBJECT *, struct _IRP *, PVOID);
typedef VOID DRIVER_REINITIALIZE(struct _DRIVER_OBJECT *, PVOID, ULONG);
typedef VOID IO_WORKITEM_ROUTINE(struct _DEVICE_OBJECT *, PVOID);
typedef VOID IO_WORKITEM_ROUTINE_EX(PVOID, PVOID, PIO_WORKITEM);
typedef VOID DRIVER_FS_NOTIFICATION(struct _DEVICE_OBJECT *, BOOLEAN);
typedef VOID IO_TIMER_ROUTINE(struct _DEVICE_OBJECT *, PVOID);
typedef VOID KSTART_ROUTINE(PVOID);
typedef VOID WORKER_THREAD_ROUTINE(PVOID);
typedef NTSTATUS EX_CALLBACK_FUNCTION(PVOID, PVOID, PVOID);
typedef EX_CALLBACK_FUNCTION *PEX_CALLBACK_FUNCTION;
typedef VOID CALLBACK_FUNCTION(PVOID, PVOID, PVOID);
typedef CALLBACK_FUNCTION *PCALLBACK_FUNCTION;
typedef DRIVER_INITIALIZE *PDRIVER_INITIALIZE;
typedef DRIVER_UNLOAD *PDRIVER_UNLOAD;
typedef DRIVER_DISPATCH *PDRIVER_DISPATCH;
typedef DRIVER_STARTIO *PDRIVER_STARTIO;
typedef DRIVER_CANCEL *PDRIVER_CANCEL;
typedef DRIVER_ADD_DEVICE *PDRIVER_ADD_DEVICE;
typedef DRIVER_REINITIALIZE *PDRIVER_REINITIALIZE;
typedef DRIVER_FS_NOTIFICATION *PDRIVER_FS_NOTIFICATION;
typedef IO_COMPLETION_ROUTINE *PIO_COMPLETION_ROUTINE;
typedef IO_WORKITEM_ROUTINE *PIO_WORKITEM_ROUTINE;
typedef IO_WORKITEM_ROUTINE_EX *PIO_WORKITEM_ROUTINE_EX;
typedef IO_TIMER_ROUTINE *PIO_TIMER_ROUTINE;
typedef KSTART_ROUTINE *PKSTART_ROUTINE;
typedef WORKER_THREAD_ROUTINE *PWORKER_THREAD_ROUTINE;
typedef struct _KDEVICE_QUEUE { SHORT Type, Size; LIST_ENTRY DeviceListHead; KSPIN_LOCK Lock; BOOLEAN Busy; } KDEVICE_QUEUE, *PKDEVICE_QUEUE;
typedef struct _KDEVICE_QUEUE_ENTRY { LIST_ENTRY DeviceListEntry; ULONG SortKey; BOOLEAN Inserted; } KDEVICE_QUEUE_ENTRY, *PKDEVICE_QUEUE_ENTRY;
typedef struct _WAIT_CONTEXT_BLOCK {
    union { KDEVICE_QUEUE_ENTRY WaitQueueEntry; struct { LIST_ENTRY DmaWaitEntry; ULONG NumberOfChannels, Reserved; }; };
    PVOID DeviceRoutine, DeviceContext;
    ULONG NumberOfMapRegisters;
    PVOID DeviceObject, CurrentIrp;
    PKDPC BufferChainingDpc;
} WAIT_CONTEXT_BLOCK, *PWAIT_CONTEXT_BLOCK;
typedef struct _VPB {
    CSHORT Type, Size;
    USHORT Flags, VolumeLabelLength;
    struct _DEVICE_OBJECT *DeviceObject, *RealDevice;
    ULONG SerialNumber, ReferenceCount;
    WCHAR VolumeLabel[32];
} VPB, *PVPB;
typedef struct DECLSPEC_ALIGN(16) _DEVICE_OBJECT {
    CSHORT Type;
    USHORT Size;
    LONG ReferenceCount;
    struct _DRIVER_OBJECT *DriverObject;
    struct _DEVICE_OBJECT *NextDevice, *AttachedDevice;
    struct _IRP *CurrentIrp;
    PIO_TIMER Timer;
    ULONG Flags, Characteristics;
    PVPB Vpb;
    PVOID DeviceExtension;
    DEVICE_TYPE DeviceType;
    CCHAR StackSize;
    union { LIST_ENTRY ListEntry; WAIT_CONTEXT_BLOCK Wcb; } Queue;
    ULONG AlignmentRequirement;
    KDEVICE_QUEUE DeviceQueue;
    KDPC Dpc;
    ULONG ActiveThreadCount;
    PSECURITY_DESCRIPTOR SecurityDescriptor;
    KEVENT DeviceLock;
    USHORT SectorSize, Spare1;
    struct _DEVOBJ_EXTENSION *DeviceObjectExtension;
    PVOID Reserved;
} DEVICE_OBJECT, *PDEVICE_OBJECT;
typedef struct _DRIVER_EXTENSION { struct _DRIVER_OBJECT *DriverObject; PDRIVER_ADD_DEVICE AddDevice; ULONG Count; UNICODE_STRING ServiceKeyName; } DRIVER_EXTENSION, *PDRIVER_EXTENSION;
#define IRP_MJ_CLEANUP 0x12
#define IRP_MJ_CLOSE 2
#define IRP_MJ_CREATE 0
#define IRP_MJ_CREATE_MAILSLOT 0x13
#define IRP_MJ_CREATE_NAMED_PIPE 1
#define IRP_MJ_DEVICE_CHANGE 0x18
#define IRP_MJ_DEVICE_CONTROL 0xE
#define IRP_MJ_DIRECTORY_CONTROL 0xC
#define IRP_MJ_FILE_SYSTEM_CONTROL 0xD
#define IRP_MJ_FLUSH_BUFFERS 9
#define IRP_MJ_INTERNAL_DEVICE_CONTROL 0xF
#define IRP_MJ_LOCK_CONTROL 0x11
#define IRP_MJ_PNP 0x1B
#define IRP_MJ_POWER 0x16
#define IRP_MJ_QUERY_EA 7
#define IRP_MJ_QUERY_INFORMATION 5
#define IRP_MJ_QUERY_QUOTA 0x19
#define IRP_MJ_QUERY_SECURITY 0x14
#define IRP_MJ_QUERY_VOLUME_INFORMATION 0xA
#define IRP_MJ_READ 3
#define IRP_MJ_SET_EA 8
#define IRP_MJ_SET_INFORMATION 6
#define IRP_MJ_SET_QUOTA 0x1A
#define IRP_MJ_SET_SECURITY 0x15
#define IRP_MJ_SET_VOLUME_INFORMATION 0xB
#define IRP_MJ_SHUTDOWN 0x10
#define IRP_MJ_SYSTEM_CONTROL 0x17
#define IRP_MJ_WRITE 4
#define IRP_MJ_MAXIMUM_FUNCTION 0x1B
#define IRP_MJ_SCSI IRP_MJ_INTERNAL_DEVICE_CONTROL
#define IRP_MJ_PNP_POWER IRP_MJ_PNP
typedef struct _DRIVER_OBJECT {
    CSHORT Type, Size;
    PDEVICE_OBJECT DeviceObject;
    ULONG Flags;
    PVOID DriverStart;
    ULONG DriverSize;
    PVOID DriverSection;
    PDRIVER_EXTENSION DriverExtension;
    UNICODE_STRING DriverName;
    PUNICODE_STRING HardwareDatabase;
    struct _FAST_IO_DISPATCH *FastIoDispatch;
    PDRIVER_INITIALIZE DriverInit;
    PDRIVER_STARTIO DriverStartIo;
    PDRIVER_UNLOAD DriverUnload;
    PDRIVER_DISPATCH MajorFunction[IRP_MJ_MAXIMUM_FUNCTION + 1];
} DRIVER_OBJECT, *PDRIVER_OBJECT;
typedef struct _SECTION_OBJECT_POINTERS { PVOID DataSectionObject, SharedCacheMap, ImageSectionObject; } SECTION_OBJECT_POINTERS, *PSECTION_OBJECT_POINTERS;
typedef struct _IO_COMPLETION_CONTEXT { PVOID Port, Key; LONG_PTR UsageCount; } IO_COMPLETION_CONTEXT, *PIO_COMPLETION_CONTEXT;
typedef struct _FILE_OBJECT {
    CSHORT Type, Size;
    PDEVICE_OBJECT DeviceObject;
    PVPB Vpb;
    PVOID FsContext, FsContext2;
    PSECTION_OBJECT_POINTERS SectionObjectPointer;
    PVOID PrivateCacheMap;
    NTSTATUS FinalStatus;
    struct _FILE_OBJECT *RelatedFileObject;
    BOOLEAN LockOperation, DeletePending, ReadAccess, WriteAccess, DeleteAccess, SharedRead, SharedWrite, SharedDelete;
    ULONG Flags;
    UNICODE_STRING FileName;
    LARGE_INTEGER CurrentByteOffset;
    volatile ULONG Waiters, Busy;
    PVOID LastLock;
    KEVENT Lock, Event;
    volatile PIO_COMPLETION_CONTEXT CompletionContext;
    KSPIN_LOCK IrpListLock;
    LIST_ENTRY IrpList;
    volatile PVOID FileObjectExtension;
} FILE_OBJECT, *PFILE_OBJECT;
#define FO_ALERTABLE_IO 4
#define FO_BYPASS_IO_ENABLED 0x800000
#define FO_CACHE_SUPPORTED 0x40
#define FO_CLEANUP_COMPLETE 0x4000
#define FO_DELETE_ON_CLOSE 0x10000
#define FO_DIRECT_DEVICE_OPEN 0x800
#define FO_DISALLOW_EXCLUSIVE 0x2000000
#define FO_FILE_FAST_IO_READ 0x80000
#define FO_FILE_MODIFIED 0x1000
#define FO_FILE_OPEN 1
#define FO_FILE_OPEN_CANCELLED 0x200000
#define FO_FILE_SIZE_CHANGED 0x2000
#define FO_FLAGS_VALID_ONLY_DURING_CREATE 0x2000000
#define FO_GENERATE_AUDIT_ON_CLOSE 0x400
#define FO_HANDLE_CREATED 0x40000
#define FO_INDIRECT_WAIT_OBJECT 0x10000000
#define FO_MAILSLOT 0x200
#define FO_NAMED_PIPE 0x80
#define FO_NO_INTERMEDIATE_BUFFERING 8
#define FO_OPENED_CASE_SENSITIVE 0x20000
#define FO_QUEUE_IRP_TO_THREAD 0x400
#define FO_RANDOM_ACCESS 0x100000
#define FO_REMOTE_ORIGIN 0x1000000
#define FO_SECTION_MINSTORE_TREATMENT 0x20000000
#define FO_SEQUENTIAL_ONLY 0x20
#define FO_SKIP_COMPLETION_PORT 0x2000000
#define FO_SKIP_SET_EVENT 0x4000000
#define FO_SKIP_SET_FAST_IO 0x8000000
#define FO_STREAM_FILE 0x100
#define FO_SYNCHRONOUS_IO 2
#define FO_TEMPORARY_FILE 0x8000
#define FO_VOLUME_OPEN 0x400000
#define FO_WRITE_THROUGH 0x10
typedef struct _IO_STACK_LOCATION {
    UCHAR MajorFunction, MinorFunction, Flags, Control;
    union {
        struct { struct _IO_SECURITY_CONTEXT *SecurityContext; ULONG Options; USHORT POINTER_ALIGNMENT FileAttributes; USHORT ShareAccess; ULONG POINTER_ALIGNMENT EaLength; } Create;
        struct { ULONG Length; ULONG POINTER_ALIGNMENT Key; LARGE_INTEGER ByteOffset; } Read, Write;
        struct { ULONG Length; PUNICODE_STRING FileName; FILE_INFORMATION_CLASS FileInformationClass; ULONG POINTER_ALIGNMENT FileIndex; } QueryDirectory;
        struct { ULONG Length; ULONG POINTER_ALIGNMENT CompletionFilter; } NotifyDirectory;
        struct { ULONG Length; FILE_INFORMATION_CLASS POINTER_ALIGNMENT FileInformationClass; } QueryFile;
        struct {
            ULONG Length;
            FILE_INFORMATION_CLASS POINTER_ALIGNMENT FileInformationClass;
            PFILE_OBJECT FileObject;
            union { struct { BOOLEAN ReplaceIfExists, AdvanceOnly; }; ULONG ClusterCount; HANDLE DeleteHandle; };
        } SetFile;
        struct { ULONG Length; PVOID EaList; ULONG EaListLength; ULONG POINTER_ALIGNMENT EaIndex; } QueryEa;
        struct { ULONG Length; } SetEa;
        struct { ULONG Length; FS_INFORMATION_CLASS POINTER_ALIGNMENT FsInformationClass; } QueryVolume, SetVolume;
        struct { ULONG OutputBufferLength; ULONG POINTER_ALIGNMENT InputBufferLength; ULONG POINTER_ALIGNMENT FsControlCode; PVOID Type3InputBuffer; } FileSystemControl;
        struct { PLARGE_INTEGER Length; ULONG POINTER_ALIGNMENT Key; LARGE_INTEGER ByteOffset; } LockControl;
        struct { ULONG OutputBufferLength; ULONG POINTER_ALIGNMENT InputBufferLength; ULONG POINTER_ALIGNMENT IoControlCode; PVOID Type3InputBuffer; } DeviceIoControl;
        struct { SECURITY_INFORMATION SecurityInformation; ULONG POINTER_ALIGNMENT Length; } QuerySecurity;
        struct { SECURITY_INFORMATION SecurityInformation; PSECURITY_DESCRIPTOR SecurityDescriptor; } SetSecurity;
        struct { PVPB Vpb; PDEVICE_OBJECT DeviceObject; } MountVolume, VerifyVolume;
        struct { PVOID Argument1, Argument2, Argument3, Argument4; } Others;
    } Parameters;
    PDEVICE_OBJECT DeviceObject;
    PFILE_OBJECT FileObject;
    PIO_COMPLETION_ROUTINE CompletionRoutine;
    PVOID Context;
} IO_STACK_LOCATION, *PIO_STACK_LOCATION;
typedef struct DECLSPEC_ALIGN(16) _IRP {
    CSHORT Type;
    USHORT Size;
    PMDL MdlAddress;
    ULONG Flags;
    union { struct _IRP *MasterIrp; volatile LONG IrpCount; PVOID SystemBuffer; } AssociatedIrp;
    LIST_ENTRY ThreadListEntry;
    IO_STATUS_BLOCK IoStatus;
    KPROCESSOR_MODE RequestorMode;
    BOOLEAN PendingReturned;
    CHAR StackCount, CurrentLocation;
    BOOLEAN Cancel;
    KIRQL CancelIrql;
    CCHAR ApcEnvironment;
    UCHAR AllocationFlags;
    PIO_STATUS_BLOCK UserIosb;
    PKEVENT UserEvent;
    union {
        struct { union { PIO_APC_ROUTINE UserApcRoutine; PVOID IssuingProcess; }; PVOID UserApcContext; } AsynchronousParameters;
        LARGE_INTEGER AllocationSize;
    } Overlay;
    volatile PDRIVER_CANCEL CancelRoutine;
    PVOID UserBuffer;
    union {
        struct {
            union { KDEVICE_QUEUE_ENTRY DeviceQueueEntry; PVOID DriverContext[4]; };
            PETHREAD Thread;
            PCHAR AuxiliaryBuffer;
            struct { LIST_ENTRY ListEntry; union { PIO_STACK_LOCATION CurrentStackLocation; ULONG PacketType; }; };
            PFILE_OBJECT OriginalFileObject;
        } Overlay;
        KAPC Apc;
        PVOID CompletionKey;
    } Tail;
} IRP, *PIRP;
#define IoGetCurrentIrpStackLocation(irp) ((irp)->Tail.Overlay.CurrentStackLocation)
#define IoGetNextIrpStackLocation(irp) ((irp)->Tail.Overlay.CurrentStackLocation - 1)
#define IoMarkIrpPending(irp) ((void)(IoGetCurrentIrpStackLocation(irp)->Control |= SL_PENDING_RETURNED))
#define IoSkipCurrentIrpStackLocation(irp) ((void)((irp)->CurrentLocation++, (irp)->Tail.Overlay.CurrentStackLocation++))
#define IoSetCancelRoutine(irp, routine) ((PDRIVER_CANCEL)__atomic_exchange_n((PVOID *)&(irp)->CancelRoutine, (PVOID)(routine), __ATOMIC_SEQ_CST))
#define IoCallDriver IofCallDriver
#define IoCompleteRequest IofCompleteRequest
#define IoInitializeDpcRequest(device, routine) KeInitializeDpc(&(device)->Dpc, (PKDEFERRED_ROUTINE)(routine), (device))
#define IoGetFunctionCodeFromCtlCode(code) (((code) >> 2) & 0xFFF)
#define IoSizeOfIrp(stack) ((USHORT)(sizeof(IRP) + (stack) * sizeof(IO_STACK_LOCATION)))
#define SL_ALLOW_RAW_MOUNT 1
#define SL_BYPASS_ACCESS_CHECK 1
#define SL_BYPASS_IO 0x40
#define SL_ERROR_RETURNED 2
#define SL_EXCLUSIVE_LOCK 2
#define SL_FAIL_IMMEDIATELY 1
#define SL_FORCE_ACCESS_CHECK 1
#define SL_FORCE_ASYNCHRONOUS 1
#define SL_FORCE_DIRECT_WRITE 0x10
#define SL_FT_SEQUENTIAL_WRITE 8
#define SL_IGNORE_READONLY_ATTRIBUTE 0x40
#define SL_INDEX_SPECIFIED 4
#define SL_INFO_FORCE_ACCESS_CHECK 1
#define SL_INFO_IGNORE_READONLY_ATTRIBUTE 0x40
#define SL_INVOKE_ON_CANCEL 0x20
#define SL_INVOKE_ON_ERROR 0x80
#define SL_INVOKE_ON_SUCCESS 0x40
#define SL_KEY_SPECIFIED 1
#define SL_NO_CURSOR_UPDATE 0x10
#define SL_OPEN_PAGING_FILE 2
#define SL_OVERRIDE_VERIFY_VOLUME 2
#define SL_PENDING_RETURNED 1
#define SL_PERSISTENT_MEMORY_FIXED_MAPPING 0x20
#define SL_QUERY_DIRECTORY_MASK 0x1B
#define SL_READ_ACCESS_GRANTED 1
#define SL_REALTIME_STREAM 0x20
#define SL_RESTART_SCAN 1
#define SL_RETURN_ON_DISK_ENTRIES_ONLY 8
#define SL_RETURN_SINGLE_ENTRY 2
#define SL_STOP_ON_SYMLINK 8
#define SL_WATCH_TREE 1
#define SL_WRITE_ACCESS_GRANTED 4
#define SL_WRITE_THROUGH 4
#define SL_OPEN_TARGET_DIRECTORY 0x04
#define SL_CASE_SENSITIVE 0x80
#define IRP_ASSOCIATED_IRP 8
#define IRP_BUFFERED_IO 0x10
#define IRP_CLOSE_OPERATION 0x400
#define IRP_CREATE_OPERATION 0x80
#define IRP_DEALLOCATE_BUFFER 0x20
#define IRP_HOLD_DEVICE_QUEUE 0x2000
#define IRP_INPUT_OPERATION 0x40
#define IRP_MOUNT_COMPLETION 2
#define IRP_NOCACHE 1
#define IRP_PAGING_IO 2
#define IRP_READ_OPERATION 0x100
#define IRP_SYNCHRONOUS_API 4
#define IRP_SYNCHRONOUS_PAGING_IO 0x40
#define IRP_UM_DRIVER_INITIATED_IO 0x400000
#define IRP_WRITE_OPERATION 0x200
#define IRP_MN_CANCEL_REMOVE_DEVICE 3
#define IRP_MN_CANCEL_STOP_DEVICE 6
#define IRP_MN_CHANGE_SINGLE_INSTANCE 2
#define IRP_MN_CHANGE_SINGLE_ITEM 3
#define IRP_MN_COMPLETE 4
#define IRP_MN_COMPRESSED 8
#define IRP_MN_DEVICE_ENUMERATED 0x19
#define IRP_MN_DEVICE_USAGE_NOTIFICATION 0x16
#define IRP_MN_DISABLE_COLLECTION 7
#define IRP_MN_DISABLE_EVENTS 5
#define IRP_MN_DPC 1
#define IRP_MN_EJECT 0x11
#define IRP_MN_ENABLE_COLLECTION 6
#define IRP_MN_ENABLE_EVENTS 4
#define IRP_MN_EXECUTE_METHOD 9
#define IRP_MN_FILTER_RESOURCE_REQUIREMENTS 0xD
#define IRP_MN_FLUSH_AND_PURGE 1
#define IRP_MN_FLUSH_DATA_ONLY 2
#define IRP_MN_FLUSH_DATA_SYNC_ONLY 4
#define IRP_MN_FLUSH_NO_SYNC 3
#define IRP_MN_KERNEL_CALL 4
#define IRP_MN_LOAD_FILE_SYSTEM 3
#define IRP_MN_LOCK 1
#define IRP_MN_MDL 2
#define IRP_MN_MOUNT_VOLUME 1
#define IRP_MN_NORMAL 0
#define IRP_MN_NOTIFY_CHANGE_DIRECTORY 2
#define IRP_MN_NOTIFY_CHANGE_DIRECTORY_EX 3
#define IRP_MN_POWER_SEQUENCE 1
#define IRP_MN_QUERY_ALL_DATA 0
#define IRP_MN_QUERY_BUS_INFORMATION 0x15
#define IRP_MN_QUERY_CAPABILITIES 9
#define IRP_MN_QUERY_DEVICE_RELATIONS 7
#define IRP_MN_QUERY_DEVICE_TEXT 0xC
#define IRP_MN_QUERY_DIRECTORY 1
#define IRP_MN_QUERY_ID 0x13
#define IRP_MN_QUERY_INTERFACE 8
#define IRP_MN_QUERY_LEGACY_BUS_INFORMATION 0x18
#define IRP_MN_QUERY_PNP_DEVICE_STATE 0x14
#define IRP_MN_QUERY_POWER 3
#define IRP_MN_QUERY_REMOVE_DEVICE 1
#define IRP_MN_QUERY_RESOURCES 0xA
#define IRP_MN_QUERY_RESOURCE_REQUIREMENTS 0xB
#define IRP_MN_QUERY_SINGLE_INSTANCE 1
#define IRP_MN_QUERY_STOP_DEVICE 5
#define IRP_MN_READ_CONFIG 0xF
#define IRP_MN_REGINFO 8
#define IRP_MN_REGINFO_EX 0xB
#define IRP_MN_REMOVE_DEVICE 2
#define IRP_MN_SCSI_CLASS 1
#define IRP_MN_SET_LOCK 0x12
#define IRP_MN_SET_POWER 2
#define IRP_MN_START_DEVICE 0
#define IRP_MN_STOP_DEVICE 4
#define IRP_MN_SURPRISE_REMOVAL 0x17
#define IRP_MN_TRACK_LINK 4
#define IRP_MN_UNLOCK_ALL 3
#define IRP_MN_UNLOCK_ALL_BY_KEY 4
#define IRP_MN_UNLOCK_SINGLE 2
#define IRP_MN_USER_FS_REQUEST 0
#define IRP_MN_VERIFY_VOLUME 2
#define IRP_MN_WAIT_WAKE 0
#define IRP_MN_WRITE_CONFIG 0x10
#define IRP_DEFER_IO_COMPLETION 0x800
#define IRP_OB_QUERY_NAME 0x1000
#define DO_BOOT_CRITICAL 0x20000000
#define DO_BUFFERED_IO 4
#define DO_BUS_ENUMERATED_DEVICE 0x1000
#define DO_DAX_VOLUME 0x10000000
#define DO_DEVICE_HAS_NAME 0x40
#define DO_DEVICE_INITIALIZING 0x80
#define DO_DEVICE_IRP_REQUIRES_EXTENSION 0x8000000
#define DO_DEVICE_TO_BE_RESET 0x4000000
#define DO_DIRECT_IO 0x10
#define DO_DISALLOW_EXECUTE 0x800000
#define DO_EXCLUSIVE 8
#define DO_FORCE_NEITHER_IO 0x80000
#define DO_LONG_TERM_REQUESTS 0x200
#define DO_LOW_PRIORITY_FILESYSTEM 0x10000
#define DO_MAP_IO_BUFFER 0x20
#define DO_NEVER_LAST_DEVICE 0x400
#define DO_NOT_PURGE_DIRTY_PAGES 4
#define DO_NOT_RETRY_PURGE 2
#define DO_POWER_INRUSH 0x4000
#define DO_POWER_PAGABLE 0x2000
#define DO_SHUTDOWN_REGISTERED 0x800
#define DO_SUPPORTS_PERSISTENT_ACLS 0x20000
#define DO_SUPPORTS_TRANSACTIONS 0x40000
#define DO_SYSTEM_BOOT_PARTITION 0x100
#define DO_SYSTEM_CRITICAL_PARTITION 0x400000
#define DO_SYSTEM_SYSTEM_PARTITION 0x200000
#define DO_VERIFY_VOLUME 2
#define DO_VOLUME_DEVICE_OBJECT 0x100000
#define FILE_DEVICE_CD_ROM 2
#define FILE_DEVICE_DISK 7
#define FILE_DEVICE_DVD 0x33
#define FILE_DEVICE_TAPE 0x1F
#define FILE_DEVICE_8042_PORT 0x27
#define FILE_DEVICE_BEEP 1
#define FILE_DEVICE_CD_ROM_FILE_SYSTEM 3
#define FILE_DEVICE_CONTROLLER 4
#define FILE_DEVICE_DATALINK 5
#define FILE_DEVICE_DFS 6
#define FILE_DEVICE_DISK_FILE_SYSTEM 8
#define FILE_DEVICE_FILE_SYSTEM 9
#define FILE_DEVICE_INFINIBAND 0x3B
#define FILE_DEVICE_KS 0x2F
#define FILE_DEVICE_KSEC 0x39
#define FILE_DEVICE_MAILSLOT 0xC
#define FILE_DEVICE_MASS_STORAGE 0x2D
#define FILE_DEVICE_MULTI_UNC_PROVIDER 0x10
#define FILE_DEVICE_NAMED_PIPE 0x11
#define FILE_DEVICE_NETWORK 0x12
#define FILE_DEVICE_NETWORK_FILE_SYSTEM 0x14
#define FILE_DEVICE_NETWORK_REDIRECTOR 0x28
#define FILE_DEVICE_NULL 0x15
#define FILE_DEVICE_TAPE_FILE_SYSTEM 0x20
#define FILE_DEVICE_UNKNOWN 0x22
#define FILE_DEVICE_VIRTUAL_DISK 0x24
#define FILE_AUTOGENERATED_DEVICE_NAME 0x80
#define FILE_CHARACTERISTIC_PNP_DEVICE 0x800
#define FILE_DEVICE_ALLOW_APPCONTAINER_TRAVERSAL 0x20000
#define FILE_DEVICE_IS_MOUNTED 0x20
#define FILE_DEVICE_SECURE_OPEN 0x100
#define FILE_FLOPPY_DISKETTE 4
#define FILE_PORTABLE_DEVICE 0x40000
#define FILE_READ_ONLY_DEVICE 2
#define FILE_REMOTE_DEVICE 0x10
#define FILE_REMOVABLE_MEDIA 1
#define FILE_VIRTUAL_VOLUME 0x40
#define FILE_WRITE_ONCE_MEDIA 8
#define IO_TYPE_ADAPTER 1
#define IO_TYPE_DEVICE 3
#define IO_TYPE_DRIVER 4
#define IO_TYPE_FILE 5
#define IO_TYPE_IRP 6
#define IO_NO_INCREMENT 0
#define EVENT_INCREMENT 1
#define IO_DISK_INCREMENT 1
#define METHOD_BUFFERED 0
#define METHOD_IN_DIRECT 1
#define METHOD_OUT_DIRECT 2
#define METHOD_NEITHER 3
#define FILE_ANY_ACCESS 0
#define FILE_SPECIAL_ACCESS FILE_ANY_ACCESS
#define FILE_READ_ACCESS 1
#define FILE_WRITE_ACCESS 2
#define CTL_CODE(device, function, method, access) (((device) + 0U) << 16 | ((access) << 14) | ((function) << 2) | (method))
#define DEVICE_TYPE_FROM_CTL_CODE(code) (((ULONG)((code) & 0xffff0000)) >> 16)
#define METHOD_FROM_CTL_CODE(code) ((ULONG)((code) & 3))
typedef struct _WORK_QUEUE_ITEM { LIST_ENTRY List; PWORKER_THREAD_ROUTINE WorkerRoutine; volatile PVOID Parameter; } WORK_QUEUE_ITEM, *PWORK_QUEUE_ITEM;
#define ExInitializeWorkItem(item, routine, context) ((void)((item)->WorkerRoutine = (routine), (item)->Parameter = (context), (item)->List.Flink = NULL))

/* ---- rights and security ---- */
#define DELETE 0x00010000
#define READ_CONTROL 0x00020000
#define WRITE_DAC 0x00040000
#define WRITE_OWNER 0x00080000
#define SYNCHRONIZE 0x00100000
#define STANDARD_RIGHTS_REQUIRED 0x000F0000
#define STANDARD_RIGHTS_READ READ_CONTROL
#define STANDARD_RIGHTS_WRITE READ_CONTROL
#define STANDARD_RIGHTS_EXECUTE READ_CONTROL
#define STANDARD_RIGHTS_ALL 0x001F0000
#define SPECIFIC_RIGHTS_ALL 0x0000FFFF
#define ACCESS_SYSTEM_SECURITY 0x01000000
#define MAXIMUM_ALLOWED 0x02000000
#define GENERIC_READ 0x80000000
#define GENERIC_WRITE 0x40000000
#define GENERIC_EXECUTE 0x20000000
#define GENERIC_ALL 0x10000000
#define FILE_ADD_FILE 2
#define FILE_ADD_SUBDIRECTORY 4
#define FILE_ALL_ACCESS 0x1F01FF
#define FILE_APPEND_DATA 4
#define FILE_CREATE_PIPE_INSTANCE 4
#define FILE_DELETE_CHILD 0x40
#define FILE_EXECUTE 0x20
#define FILE_GENERIC_EXECUTE 0x1200A0
#define FILE_GENERIC_READ 0x120089
#define FILE_GENERIC_WRITE 0x120116
#define FILE_LIST_DIRECTORY 1
#define FILE_READ_ATTRIBUTES 0x80
#define FILE_READ_DATA 1
#define FILE_READ_EA 8
#define FILE_TRAVERSE 0x20
#define FILE_WRITE_ATTRIBUTES 0x100
#define FILE_WRITE_DATA 2
#define FILE_WRITE_EA 0x10
#define PROCESS_CREATE_PROCESS 0x80
#define PROCESS_CREATE_THREAD 2
#define PROCESS_DUP_HANDLE 0x40
#define PROCESS_QUERY_INFORMATION 0x400
#define PROCESS_QUERY_LIMITED_INFORMATION 0x1000
#define PROCESS_SET_INFORMATION 0x200
#define PROCESS_SET_QUOTA 0x100
#define PROCESS_SET_SESSIONID 4
#define PROCESS_SUSPEND_RESUME 0x800
#define PROCESS_TERMINATE 1
#define PROCESS_VM_OPERATION 8
#define PROCESS_VM_READ 0x10
#define PROCESS_VM_WRITE 0x20
#define THREAD_GET_CONTEXT 8
#define THREAD_DIRECT_IMPERSONATION 0x200
#define THREAD_IMPERSONATE 0x100
#define THREAD_QUERY_INFORMATION 0x40
#define THREAD_SET_CONTEXT 0x10
#define THREAD_SET_INFORMATION 0x20
#define THREAD_SET_THREAD_TOKEN 0x80
#define THREAD_SUSPEND_RESUME 2
#define THREAD_TERMINATE 1
#define PROCESS_ALL_ACCESS 0x1FFFFF
#define THREAD_ALL_ACCESS 0x1FFFFF
#define EVENT_MODIFY_STATE 2
#define EVENT_ALL_ACCESS 0x1F0003
#define SECTION_QUERY 1
#define SECTION_MAP_WRITE 2
#define SECTION_MAP_READ 4
#define SECTION_MAP_EXECUTE 8
#define SECTION_EXTEND_SIZE 0x10
#define SECTION_ALL_ACCESS 0xF001F
#define NtCurrentProcess() ((HANDLE)(LONG_PTR)-1)
#define ZwCurrentProcess() NtCurrentProcess()
#define NtCurrentThread() ((HANDLE)(LONG_PTR)-2)
#define ZwCurrentThread() NtCurrentThread()
typedef struct _GENERIC_MAPPING { ULONG GenericRead, GenericWrite, GenericExecute, GenericAll; } GENERIC_MAPPING, *PGENERIC_MAPPING;
typedef struct _LUID_AND_ATTRIBUTES { LUID Luid; ULONG Attributes; } LUID_AND_ATTRIBUTES, *PLUID_AND_ATTRIBUTES;
typedef struct _PRIVILEGE_SET { ULONG PrivilegeCount, Control; LUID_AND_ATTRIBUTES Privilege[1]; } PRIVILEGE_SET, *PPRIVILEGE_SET;
typedef struct _INITIAL_PRIVILEGE_SET { ULONG PrivilegeCount, Control; LUID_AND_ATTRIBUTES Privilege[3]; } INITIAL_PRIVILEGE_SET, *PINITIAL_PRIVILEGE_SET;
typedef struct _SECURITY_QUALITY_OF_SERVICE {
    ULONG Length;
    SECURITY_IMPERSONATION_LEVEL ImpersonationLevel;
    UCHAR ContextTrackingMode;
    BOOLEAN EffectiveOnly;
} SECURITY_QUALITY_OF_SERVICE, *PSECURITY_QUALITY_OF_SERVICE;
typedef struct _SECURITY_SUBJECT_CONTEXT {
    PVOID ClientToken;
    SECURITY_IMPERSONATION_LEVEL ImpersonationLevel;
    PVOID PrimaryToken, ProcessAuditId;
} SECURITY_SUBJECT_CONTEXT, *PSECURITY_SUBJECT_CONTEXT;
typedef struct _ACCESS_STATE {
    LUID OperationID;
    BOOLEAN SecurityEvaluated, GenerateAudit, GenerateOnClose, PrivilegesAllocated;
    ULONG Flags;
    ACCESS_MASK RemainingDesiredAccess, PreviouslyGrantedAccess, OriginalDesiredAccess;
    SECURITY_SUBJECT_CONTEXT SubjectSecurityContext;
    PSECURITY_DESCRIPTOR SecurityDescriptor;
    PVOID AuxData;
    union { INITIAL_PRIVILEGE_SET InitialPrivilegeSet; PRIVILEGE_SET PrivilegeSet; } Privileges;
    BOOLEAN AuditPrivileges;
    UNICODE_STRING ObjectName, ObjectTypeName;
} ACCESS_STATE, *PACCESS_STATE;
typedef struct _IO_SECURITY_CONTEXT { PSECURITY_QUALITY_OF_SERVICE SecurityQos; PACCESS_STATE AccessState; ACCESS_MASK DesiredAccess; ULONG FullCreateOptions; } IO_SECURITY_CONTEXT, *PIO_SECURITY_CONTEXT;
typedef struct _ACL { UCHAR AclRevision, Sbz1; USHORT AclSize, AceCount, Sbz2; } ACL, *PACL;
#define ACL_REVISION 2
#define SECURITY_DESCRIPTOR_REVISION 1
#define SECURITY_DESCRIPTOR_MIN_LENGTH (sizeof(SECURITY_DESCRIPTOR))
typedef struct _SECURITY_DESCRIPTOR { UCHAR Revision, Sbz1; SECURITY_DESCRIPTOR_CONTROL Control; PSID Owner, Group; PACL Sacl, Dacl; } SECURITY_DESCRIPTOR, *PISECURITY_DESCRIPTOR;

struct _FILE_BASIC_INFORMATION;
struct _FILE_STANDARD_INFORMATION;
struct _FILE_NETWORK_OPEN_INFORMATION;
typedef struct _COMPRESSED_DATA_INFO { USHORT CompressionFormatAndEngine; UCHAR CompressionUnitShift, ChunkShift, ClusterShift, Reserved; USHORT NumberOfChunks; ULONG CompressedChunkSizes[1]; } COMPRESSED_DATA_INFO, *PCOMPRESSED_DATA_INFO;
typedef struct _FAST_IO_DISPATCH {
    ULONG SizeOfFastIoDispatch;
    BOOLEAN (*FastIoCheckIfPossible)(PFILE_OBJECT, PLARGE_INTEGER, ULONG, BOOLEAN, ULONG, BOOLEAN, PIO_STATUS_BLOCK, PDEVICE_OBJECT);
    BOOLEAN (*FastIoRead)(PFILE_OBJECT, PLARGE_INTEGER, ULONG, BOOLEAN, ULONG, PVOID, PIO_STATUS_BLOCK, PDEVICE_OBJECT);
    BOOLEAN (*FastIoWrite)(PFILE_OBJECT, PLARGE_INTEGER, ULONG, BOOLEAN, ULONG, PVOID, PIO_STATUS_BLOCK, PDEVICE_OBJECT);
    BOOLEAN (*FastIoQueryBasicInfo)(PFILE_OBJECT, BOOLEAN, struct _FILE_BASIC_INFORMATION *, PIO_STATUS_BLOCK, PDEVICE_OBJECT);
    BOOLEAN (*FastIoQueryStandardInfo)(PFILE_OBJECT, BOOLEAN, struct _FILE_STANDARD_INFORMATION *, PIO_STATUS_BLOCK, PDEVICE_OBJECT);
    BOOLEAN (*FastIoLock)(PFILE_OBJECT, PLARGE_INTEGER, PLARGE_INTEGER, PEPROCESS, ULONG, BOOLEAN, BOOLEAN, PIO_STATUS_BLOCK, PDEVICE_OBJECT);
    BOOLEAN (*FastIoUnlockSingle)(PFILE_OBJECT, PLARGE_INTEGER, PLARGE_INTEGER, PEPROCESS, ULONG, PIO_STATUS_BLOCK, PDEVICE_OBJECT);
    BOOLEAN (*FastIoUnlockAll)(PFILE_OBJECT, PEPROCESS, PIO_STATUS_BLOCK, PDEVICE_OBJECT);
    BOOLEAN (*FastIoUnlockAllByKey)(PFILE_OBJECT, PVOID, ULONG, PIO_STATUS_BLOCK, PDEVICE_OBJECT);
    BOOLEAN (*FastIoDeviceControl)(PFILE_OBJECT, BOOLEAN, PVOID, ULONG, PVOID, ULONG, ULONG, PIO_STATUS_BLOCK, PDEVICE_OBJECT);
    VOID (*AcquireFileForNtCreateSection)(PFILE_OBJECT);
    VOID (*ReleaseFileForNtCreateSection)(PFILE_OBJECT);
    VOID (*FastIoDetachDevice)(PDEVICE_OBJECT, PDEVICE_OBJECT);
    BOOLEAN (*FastIoQueryNetworkOpenInfo)(PFILE_OBJECT, BOOLEAN, struct _FILE_NETWORK_OPEN_INFORMATION *, PIO_STATUS_BLOCK, PDEVICE_OBJECT);
    NTSTATUS (*AcquireForModWrite)(PFILE_OBJECT, PLARGE_INTEGER, PERESOURCE *, PDEVICE_OBJECT);
    BOOLEAN (*MdlRead)(PFILE_OBJECT, PLARGE_INTEGER, ULONG, ULONG, PMDL *, PIO_STATUS_BLOCK, PDEVICE_OBJECT);
    BOOLEAN (*MdlReadComplete)(PFILE_OBJECT, PMDL, PDEVICE_OBJECT);
    BOOLEAN (*PrepareMdlWrite)(PFILE_OBJECT, PLARGE_INTEGER, ULONG, ULONG, PMDL *, PIO_STATUS_BLOCK, PDEVICE_OBJECT);
    BOOLEAN (*MdlWriteComplete)(PFILE_OBJECT, PLARGE_INTEGER, PMDL, PDEVICE_OBJECT);
    BOOLEAN (*FastIoReadCompressed)(PFILE_OBJECT, PLARGE_INTEGER, ULONG, ULONG, PVOID, PMDL *, PIO_STATUS_BLOCK, PCOMPRESSED_DATA_INFO, ULONG, PDEVICE_OBJECT);
    BOOLEAN (*FastIoWriteCompressed)(PFILE_OBJECT, PLARGE_INTEGER, ULONG, ULONG, PVOID, PMDL *, PIO_STATUS_BLOCK, PCOMPRESSED_DATA_INFO, ULONG, PDEVICE_OBJECT);
    BOOLEAN (*MdlReadCompleteCompressed)(PFILE_OBJECT, PMDL, PDEVICE_OBJECT);
    BOOLEAN (*MdlWriteCompleteCompressed)(PFILE_OBJECT, PLARGE_INTEGER, PMDL, PDEVICE_OBJECT);
    BOOLEAN (*FastIoQueryOpen)(PIRP, struct _FILE_NETWORK_OPEN_INFORMATION *, PDEVICE_OBJECT);
    NTSTATUS (*ReleaseForModWrite)(PFILE_OBJECT, PERESOURCE, PDEVICE_OBJECT);
    NTSTATUS (*AcquireForCcFlush)(PFILE_OBJECT, PDEVICE_OBJECT);
    NTSTATUS (*ReleaseForCcFlush)(PFILE_OBJECT, PDEVICE_OBJECT);
} FAST_IO_DISPATCH, *PFAST_IO_DISPATCH;

/* ---- processes, exceptions, time, registry ---- */
typedef struct _CLIENT_ID { HANDLE UniqueProcess, UniqueThread; } CLIENT_ID, *PCLIENT_ID;
typedef struct _PS_CREATE_NOTIFY_INFO {
    SIZE_T Size;
    union { ULONG Flags; struct { ULONG FileOpenNameAvailable : 1, IsSubsystemProcess : 1, Reserved : 30; }; };
    HANDLE ParentProcessId;
    CLIENT_ID CreatingThreadId;
    PFILE_OBJECT FileObject;
    PCUNICODE_STRING ImageFileName, CommandLine;
    NTSTATUS CreationStatus;
} PS_CREATE_NOTIFY_INFO, *PPS_CREATE_NOTIFY_INFO;
typedef struct _IMAGE_INFO {
    union {
        ULONG Properties;
        struct { ULONG ImageAddressingMode : 8, SystemModeImage : 1, ImageMappedToAllPids : 1, ExtendedInfoPresent : 1, MachineTypeMismatch : 1, ImageSignatureLevel : 4, ImageSignatureType : 3, ImagePartialMap : 1, Reserved : 12; };
    };
    PVOID ImageBase;
    ULONG ImageSelector;
    SIZE_T ImageSize;
    ULONG ImageSectionNumber;
} IMAGE_INFO, *PIMAGE_INFO;
typedef struct _IMAGE_INFO_EX { SIZE_T Size; IMAGE_INFO ImageInfo; PFILE_OBJECT FileObject; } IMAGE_INFO_EX, *PIMAGE_INFO_EX;
typedef VOID (*PCREATE_PROCESS_NOTIFY_ROUTINE)(HANDLE, HANDLE, BOOLEAN);
typedef VOID (*PCREATE_PROCESS_NOTIFY_ROUTINE_EX)(PEPROCESS, HANDLE, PPS_CREATE_NOTIFY_INFO);
typedef VOID (*PCREATE_THREAD_NOTIFY_ROUTINE)(HANDLE, HANDLE, BOOLEAN);
typedef VOID (*PLOAD_IMAGE_NOTIFY_ROUTINE)(PUNICODE_STRING, HANDLE, PIMAGE_INFO);
typedef struct _EXCEPTION_RECORD { NTSTATUS ExceptionCode; ULONG ExceptionFlags; struct _EXCEPTION_RECORD *ExceptionRecord; PVOID ExceptionAddress; ULONG NumberParameters; ULONG_PTR ExceptionInformation[15]; } EXCEPTION_RECORD, *PEXCEPTION_RECORD;
typedef struct _EXCEPTION_POINTERS { PEXCEPTION_RECORD ExceptionRecord; PCONTEXT ContextRecord; } EXCEPTION_POINTERS, *PEXCEPTION_POINTERS;
typedef struct _TIME_FIELDS { CSHORT Year, Month, Day, Hour, Minute, Second, Milliseconds, Weekday; } TIME_FIELDS, *PTIME_FIELDS;
typedef struct _RTL_BITMAP { ULONG SizeOfBitMap, *Buffer; } RTL_BITMAP, *PRTL_BITMAP;
typedef struct _RTL_SPLAY_LINKS {
    struct _RTL_SPLAY_LINKS *Parent;
    struct _RTL_SPLAY_LINKS *LeftChild;
    struct _RTL_SPLAY_LINKS *RightChild;
} RTL_SPLAY_LINKS, *PRTL_SPLAY_LINKS;
typedef struct _OBJECT_NAME_INFORMATION { UNICODE_STRING Name; } OBJECT_NAME_INFORMATION, *POBJECT_NAME_INFORMATION;
typedef ULONG OB_OPERATION;
#define OB_OPERATION_HANDLE_CREATE 1
#define OB_OPERATION_HANDLE_DUPLICATE 2
#define OB_FLT_REGISTRATION_VERSION 0x0100
typedef enum _OB_PREOP_CALLBACK_STATUS { OB_PREOP_SUCCESS } OB_PREOP_CALLBACK_STATUS;
typedef struct _OB_PRE_CREATE_HANDLE_INFORMATION { ACCESS_MASK DesiredAccess, OriginalDesiredAccess; } OB_PRE_CREATE_HANDLE_INFORMATION, *POB_PRE_CREATE_HANDLE_INFORMATION;
typedef struct _OB_PRE_DUPLICATE_HANDLE_INFORMATION { ACCESS_MASK DesiredAccess, OriginalDesiredAccess; PVOID SourceProcess, TargetProcess; } OB_PRE_DUPLICATE_HANDLE_INFORMATION, *POB_PRE_DUPLICATE_HANDLE_INFORMATION;
typedef union _OB_PRE_OPERATION_PARAMETERS { OB_PRE_CREATE_HANDLE_INFORMATION CreateHandleInformation; OB_PRE_DUPLICATE_HANDLE_INFORMATION DuplicateHandleInformation; } OB_PRE_OPERATION_PARAMETERS, *POB_PRE_OPERATION_PARAMETERS;
typedef struct _OB_PRE_OPERATION_INFORMATION {
    OB_OPERATION Operation;
    union { ULONG Flags; struct { ULONG KernelHandle : 1, Reserved : 31; }; };
    PVOID Object;
    POBJECT_TYPE ObjectType;
    PVOID CallContext;
    POB_PRE_OPERATION_PARAMETERS Parameters;
} OB_PRE_OPERATION_INFORMATION, *POB_PRE_OPERATION_INFORMATION;
typedef struct _OB_POST_CREATE_HANDLE_INFORMATION { ACCESS_MASK GrantedAccess; } OB_POST_CREATE_HANDLE_INFORMATION, *POB_POST_CREATE_HANDLE_INFORMATION;
typedef union _OB_POST_OPERATION_PARAMETERS { OB_POST_CREATE_HANDLE_INFORMATION CreateHandleInformation, DuplicateHandleInformation; } OB_POST_OPERATION_PARAMETERS, *POB_POST_OPERATION_PARAMETERS;
typedef struct _OB_POST_OPERATION_INFORMATION {
    OB_OPERATION Operation;
    union { ULONG Flags; struct { ULONG KernelHandle : 1, Reserved : 31; }; };
    PVOID Object;
    POBJECT_TYPE ObjectType;
    PVOID CallContext;
    NTSTATUS ReturnStatus;
    POB_POST_OPERATION_PARAMETERS Parameters;
} OB_POST_OPERATION_INFORMATION, *POB_POST_OPERATION_INFORMATION;
typedef OB_PREOP_CALLBACK_STATUS (*POB_PRE_OPERATION_CALLBACK)(PVOID, POB_PRE_OPERATION_INFORMATION);
typedef VOID (*POB_POST_OPERATION_CALLBACK)(PVOID, POB_POST_OPERATION_INFORMATION);
typedef struct _OB_OPERATION_REGISTRATION { POBJECT_TYPE *ObjectType; OB_OPERATION Operations; POB_PRE_OPERATION_CALLBACK PreOperation; POB_POST_OPERATION_CALLBACK PostOperation; } OB_OPERATION_REGISTRATION, *POB_OPERATION_REGISTRATION;
typedef struct _OB_CALLBACK_REGISTRATION { USHORT Version, OperationRegistrationCount; UNICODE_STRING Altitude; PVOID RegistrationContext; OB_OPERATION_REGISTRATION *OperationRegistration; } OB_CALLBACK_REGISTRATION, *POB_CALLBACK_REGISTRATION;
typedef struct _KEY_BASIC_INFORMATION { LARGE_INTEGER LastWriteTime; ULONG TitleIndex, NameLength; WCHAR Name[1]; } KEY_BASIC_INFORMATION, *PKEY_BASIC_INFORMATION;
typedef struct _KEY_FULL_INFORMATION {
    LARGE_INTEGER LastWriteTime;
    ULONG TitleIndex, ClassOffset, ClassLength, SubKeys, MaxNameLen, MaxClassLen, Values, MaxValueNameLen, MaxValueDataLen;
    USHORT Class[1];
} KEY_FULL_INFORMATION, *PKEY_FULL_INFORMATION;
typedef struct _KEY_NODE_INFORMATION {
    LARGE_INTEGER LastWriteTime;
    ULONG TitleIndex, ClassOffset, ClassLength, NameLength;
    WCHAR Name[1];
} KEY_NODE_INFORMATION, *PKEY_NODE_INFORMATION;
typedef struct _KEY_NAME_INFORMATION { ULONG NameLength; WCHAR Name[1]; } KEY_NAME_INFORMATION, *PKEY_NAME_INFORMATION;
typedef struct _KEY_VALUE_BASIC_INFORMATION { ULONG TitleIndex, Type, NameLength; WCHAR Name[1]; } KEY_VALUE_BASIC_INFORMATION, *PKEY_VALUE_BASIC_INFORMATION;
typedef struct _KEY_VALUE_FULL_INFORMATION {
    ULONG TitleIndex, Type, DataOffset, DataLength, NameLength;
    WCHAR Name[1];
} KEY_VALUE_FULL_INFORMATION, *PKEY_VALUE_FULL_INFORMATION;
typedef struct _KEY_VALUE_PARTIAL_INFORMATION { ULONG TitleIndex, Type, DataLength; UCHAR Data[1]; } KEY_VALUE_PARTIAL_INFORMATION, *PKEY_VALUE_PARTIAL_INFORMATION;
typedef struct _KEY_VALUE_ENTRY { struct _UNICODE_STRING *ValueName; ULONG DataLength, DataOffset, Type; } KEY_VALUE_ENTRY, *PKEY_VALUE_ENTRY;
typedef struct _REG_CREATE_KEY_INFORMATION {
    struct _UNICODE_STRING *CompleteName;
    PVOID RootObject, ObjectType;
    ULONG CreateOptions;
    struct _UNICODE_STRING *Class;
    PVOID SecurityDescriptor, SecurityQualityOfService;
    ULONG DesiredAccess, GrantedAccess, *Disposition;
    PVOID *ResultObject, CallContext, RootObjectContext, Transaction, Reserved;
} REG_CREATE_KEY_INFORMATION, *PREG_CREATE_KEY_INFORMATION;
typedef struct _REG_CREATE_KEY_INFORMATION_V1 {
    struct _UNICODE_STRING *CompleteName;
    PVOID RootObject, ObjectType;
    ULONG Options;
    struct _UNICODE_STRING *Class;
    PVOID SecurityDescriptor, SecurityQualityOfService;
    ULONG DesiredAccess, GrantedAccess, *Disposition;
    PVOID *ResultObject, CallContext, RootObjectContext, Transaction;
    SIZE_T Version;
    struct _UNICODE_STRING *RemainingName;
    ULONG Wow64Flags, Attributes;
    CHAR CheckAccessMode;
} REG_CREATE_KEY_INFORMATION_V1, *PREG_CREATE_KEY_INFORMATION_V1;
typedef struct _REG_SET_VALUE_KEY_INFORMATION {
    PVOID Object;
    struct _UNICODE_STRING *ValueName;
    ULONG TitleIndex, Type;
    PVOID Data;
    ULONG DataSize;
    PVOID CallContext, ObjectContext, Reserved;
} REG_SET_VALUE_KEY_INFORMATION, *PREG_SET_VALUE_KEY_INFORMATION;
typedef struct _REG_DELETE_VALUE_KEY_INFORMATION {
    PVOID Object;
    struct _UNICODE_STRING *ValueName;
    PVOID CallContext, ObjectContext, Reserved;
} REG_DELETE_VALUE_KEY_INFORMATION, *PREG_DELETE_VALUE_KEY_INFORMATION;
typedef struct _REG_DELETE_KEY_INFORMATION { PVOID Object, CallContext, ObjectContext, Reserved; } REG_DELETE_KEY_INFORMATION, *PREG_DELETE_KEY_INFORMATION;
typedef struct _REG_RENAME_KEY_INFORMATION {
    PVOID Object;
    struct _UNICODE_STRING *NewName;
    PVOID CallContext, ObjectContext, Reserved;
} REG_RENAME_KEY_INFORMATION, *PREG_RENAME_KEY_INFORMATION;
typedef struct _REG_POST_OPERATION_INFORMATION {
    PVOID Object;
    NTSTATUS Status;
    PVOID PreInformation;
    NTSTATUS ReturnStatus;
    PVOID CallContext, ObjectContext, Reserved;
} REG_POST_OPERATION_INFORMATION, *PREG_POST_OPERATION_INFORMATION;
typedef struct _REG_QUERY_VALUE_KEY_INFORMATION {
    PVOID Object;
    struct _UNICODE_STRING *ValueName;
    KEY_VALUE_INFORMATION_CLASS KeyValueInformationClass;
    PVOID KeyValueInformation;
    ULONG Length, *ResultLength;
    PVOID CallContext, ObjectContext, Reserved;
} REG_QUERY_VALUE_KEY_INFORMATION, *PREG_QUERY_VALUE_KEY_INFORMATION;
typedef struct _REG_QUERY_KEY_INFORMATION {
    PVOID Object;
    KEY_INFORMATION_CLASS KeyInformationClass;
    PVOID KeyInformation;
    ULONG Length, *ResultLength;
    PVOID CallContext, ObjectContext, Reserved;
} REG_QUERY_KEY_INFORMATION, *PREG_QUERY_KEY_INFORMATION;
typedef struct _REG_ENUMERATE_KEY_INFORMATION {
    PVOID Object;
    ULONG Index;
    KEY_INFORMATION_CLASS KeyInformationClass;
    PVOID KeyInformation;
    ULONG Length, *ResultLength;
    PVOID CallContext, ObjectContext, Reserved;
} REG_ENUMERATE_KEY_INFORMATION, *PREG_ENUMERATE_KEY_INFORMATION;
typedef struct _REG_ENUMERATE_VALUE_KEY_INFORMATION {
    PVOID Object;
    ULONG Index;
    KEY_VALUE_INFORMATION_CLASS KeyValueInformationClass;
    PVOID KeyValueInformation;
    ULONG Length, *ResultLength;
    PVOID CallContext, ObjectContext, Reserved;
} REG_ENUMERATE_VALUE_KEY_INFORMATION, *PREG_ENUMERATE_VALUE_KEY_INFORMATION;
typedef struct _REG_PRE_CREATE_KEY_INFORMATION { struct _UNICODE_STRING *CompleteName; } REG_PRE_CREATE_KEY_INFORMATION, *PREG_PRE_CREATE_KEY_INFORMATION;
typedef struct _REG_SET_INFORMATION_KEY_INFORMATION {
    PVOID Object;
    KEY_SET_INFORMATION_CLASS KeySetInformationClass;
    PVOID KeySetInformation;
    ULONG KeySetInformationLength;
    PVOID CallContext, ObjectContext, Reserved;
} REG_SET_INFORMATION_KEY_INFORMATION, *PREG_SET_INFORMATION_KEY_INFORMATION;
typedef REG_CREATE_KEY_INFORMATION REG_OPEN_KEY_INFORMATION, *PREG_OPEN_KEY_INFORMATION;
#define REG_CREATED_NEW_KEY 1
#define REG_DWORD_BIG_ENDIAN 5
#define REG_LINK 6
#define REG_OPENED_EXISTING_KEY 2
#define REG_RESOURCE_LIST 8
#define KEY_ALL_ACCESS 0xF003F
#define KEY_CREATE_LINK 0x20
#define KEY_CREATE_SUB_KEY 4
#define KEY_ENUMERATE_SUB_KEYS 8
#define KEY_EXECUTE 0x20019
#define KEY_NOTIFY 0x10
#define KEY_QUERY_VALUE 1
#define KEY_READ 0x20019
#define KEY_SET_VALUE 2
#define KEY_WOW64_32KEY 0x200
#define KEY_WOW64_64KEY 0x100
#define KEY_WRITE 0x20006
#define REG_NONE 0
#define REG_SZ 1
#define REG_EXPAND_SZ 2
#define REG_BINARY 3
#define REG_DWORD 4
#define REG_DWORD_LITTLE_ENDIAN 4
#define REG_MULTI_SZ 7
#define REG_QWORD 11
#define REG_OPTION_NON_VOLATILE 0
#define REG_OPTION_VOLATILE 1
#define PAGE_EXECUTE 0x10
#define PAGE_EXECUTE_READ 0x20
#define PAGE_EXECUTE_READWRITE 0x40
#define PAGE_EXECUTE_WRITECOPY 0x80
#define PAGE_GUARD 0x100
#define PAGE_NOACCESS 1
#define PAGE_NOCACHE 0x200
#define PAGE_READONLY 2
#define PAGE_READWRITE 4
#define PAGE_WRITECOMBINE 0x400
#define PAGE_WRITECOPY 8
#define MEM_COMMIT 0x1000
#define MEM_DECOMMIT 0x4000
#define MEM_MAPPED 0x40000
#define MEM_PRIVATE 0x20000
#define MEM_RELEASE 0x8000
#define MEM_RESERVE 0x2000
#define MEM_RESET 0x80000
#define MEM_TOP_DOWN 0x100000
#define MEM_FREE 0x10000
#define MEM_IMAGE 0x1000000
#define SEC_LARGE_PAGES 0x80000000
#define SEC_COMMIT 0x8000000
#define SEC_FILE 0x800000
#define SEC_IMAGE 0x1000000
#define SEC_IMAGE_NO_EXECUTE 0x11000000
#define SEC_NOCACHE 0x10000000
#define SEC_RESERVE 0x4000000
#define SEC_WRITECOMBINE 0x40000000
#define HANDLE_FLAG_INHERIT 1
#define DUPLICATE_CLOSE_SOURCE 1
#define DUPLICATE_SAME_ACCESS 2
typedef struct _KFLOATING_SAVE { ULONG Dummy; } KFLOATING_SAVE, *PKFLOATING_SAVE;
#define XSTATE_MASK_LEGACY 3ULL
#define XSTATE_MASK_GSSE 4ULL
typedef struct _XSTATE_SAVE { ULONG64 Reserved[8]; } XSTATE_SAVE, *PXSTATE_SAVE;
typedef struct _OSVERSIONINFOW { ULONG dwOSVersionInfoSize, dwMajorVersion, dwMinorVersion, dwBuildNumber, dwPlatformId; WCHAR szCSDVersion[128]; } OSVERSIONINFOW, *POSVERSIONINFOW, RTL_OSVERSIONINFOW, *PRTL_OSVERSIONINFOW;
typedef struct _OSVERSIONINFOEXW {
    ULONG dwOSVersionInfoSize, dwMajorVersion, dwMinorVersion, dwBuildNumber, dwPlatformId;
    WCHAR szCSDVersion[128];
    USHORT wServicePackMajor, wServicePackMinor, wSuiteMask;
    UCHAR wProductType, wReserved;
} OSVERSIONINFOEXW, *POSVERSIONINFOEXW, RTL_OSVERSIONINFOEXW, *PRTL_OSVERSIONINFOEXW;

/* ---- calls that are macros or have no metadata ---- */
extern POBJECT_TYPE *IoFileObjectType, *IoDriverObjectType, *IoDeviceObjectType, *PsProcessType, *PsThreadType, *SeTokenObjectType, *ExEventObjectType,
    *ExSemaphoreObjectType, *CmKeyObjectType, *MmSectionObjectType, *TmTransactionObjectType;
extern PULONG InitSafeBootMode;
extern CCHAR KeNumberProcessors;
extern PVOID MmHighestUserAddress, MmSystemRangeStart;
extern ULONG_PTR MmUserProbeAddress;
extern PEPROCESS PsInitialSystemProcess;
#define PsGetCurrentProcess IoGetCurrentProcess
#define PsGetCurrentThread() ((PETHREAD)KeGetCurrentThread())
#define KeGetCurrentThread() ((PKTHREAD)PsGetCurrentThreadObject())
PETHREAD PsGetCurrentThreadObject(VOID);
PEPROCESS IoGetCurrentProcess(VOID);
HANDLE PsGetCurrentProcessId(VOID);
HANDLE PsGetCurrentThreadId(VOID);
HANDLE PsGetProcessId(PEPROCESS);
HANDLE PsGetThreadId(PETHREAD);
HANDLE PsGetThreadProcessId(PETHREAD);
HANDLE PsGetProcessInheritedFromUniqueProcessId(PEPROCESS);
PEPROCESS PsGetThreadProcess(PETHREAD);
PEPROCESS IoThreadToProcess(PETHREAD);
KIRQL KeGetCurrentIrql(VOID);
KIRQL KeRaiseIrqlToDpcLevel(VOID);
KIRQL KfRaiseIrql(KIRQL);
VOID KeLowerIrql(KIRQL);
#define KeRaiseIrql(to, from) (*(from) = KfRaiseIrql(to))
VOID KeInitializeSpinLock(PKSPIN_LOCK);
KIRQL KeAcquireSpinLockRaiseToDpc(PKSPIN_LOCK);
#define KeAcquireSpinLock(lock, irql) (*(irql) = KeAcquireSpinLockRaiseToDpc(lock))
VOID KeReleaseSpinLock(PKSPIN_LOCK, KIRQL);
VOID KeAcquireSpinLockAtDpcLevel(PKSPIN_LOCK);
VOID KeReleaseSpinLockFromDpcLevel(PKSPIN_LOCK);
VOID KeAcquireInStackQueuedSpinLock(PKSPIN_LOCK, PKLOCK_QUEUE_HANDLE);
VOID KeReleaseInStackQueuedSpinLock(PKLOCK_QUEUE_HANDLE);
VOID KeAcquireInStackQueuedSpinLockAtDpcLevel(PKSPIN_LOCK, PKLOCK_QUEUE_HANDLE);
VOID KeReleaseInStackQueuedSpinLockFromDpcLevel(PKLOCK_QUEUE_HANDLE);
VOID KeInitializeEvent(PRKEVENT, EVENT_TYPE, BOOLEAN);
VOID KeClearEvent(PRKEVENT);
LONG KeResetEvent(PRKEVENT);
LONG KeSetEvent(PRKEVENT, KPRIORITY, BOOLEAN);
LONG KeReadStateEvent(PRKEVENT);
VOID KeQuerySystemTime(PLARGE_INTEGER);
VOID KeQuerySystemTimePrecise(PLARGE_INTEGER);
VOID KeQueryTickCount(PLARGE_INTEGER);
ULONGLONG KeQueryInterruptTime(VOID);
ULONG KeQueryTimeIncrement(VOID);
LARGE_INTEGER KeQueryPerformanceCounter(PLARGE_INTEGER);
VOID ExInitializeFastMutex(PFAST_MUTEX);
VOID ExAcquireFastMutex(PFAST_MUTEX);
VOID ExReleaseFastMutex(PFAST_MUTEX);
BOOLEAN ExTryToAcquireFastMutex(PFAST_MUTEX);
VOID ExAcquireFastMutexUnsafe(PFAST_MUTEX);
VOID ExReleaseFastMutexUnsafe(PFAST_MUTEX);
VOID KeInitializeGuardedMutex(PKGUARDED_MUTEX);
VOID KeAcquireGuardedMutex(PKGUARDED_MUTEX);
VOID KeReleaseGuardedMutex(PKGUARDED_MUTEX);
BOOLEAN KeTryToAcquireGuardedMutex(PKGUARDED_MUTEX);
VOID KeAcquireGuardedMutexUnsafe(PKGUARDED_MUTEX);
VOID KeReleaseGuardedMutexUnsafe(PKGUARDED_MUTEX);
VOID ExInitializePushLock(PEX_PUSH_LOCK);
VOID ExAcquirePushLockExclusiveEx(PEX_PUSH_LOCK, ULONG);
VOID ExAcquirePushLockSharedEx(PEX_PUSH_LOCK, ULONG);
VOID ExReleasePushLockExclusiveEx(PEX_PUSH_LOCK, ULONG);
VOID ExReleasePushLockSharedEx(PEX_PUSH_LOCK, ULONG);
#define ExAcquirePushLockExclusive(lock) ExAcquirePushLockExclusiveEx(lock, 0)
#define ExAcquirePushLockShared(lock) ExAcquirePushLockSharedEx(lock, 0)
#define ExReleasePushLockExclusive(lock) ExReleasePushLockExclusiveEx(lock, 0)
#define ExReleasePushLockShared(lock) ExReleasePushLockSharedEx(lock, 0)
PVOID ExAllocatePool(POOL_TYPE, SIZE_T);
PVOID ExAllocatePoolZero(POOL_TYPE, SIZE_T, ULONG);
PVOID ExAllocatePoolUninitialized(POOL_TYPE, SIZE_T, ULONG);
PVOID ExAllocatePoolQuotaZero(POOL_TYPE, SIZE_T, ULONG);
PVOID ExAllocatePoolQuotaUninitialized(POOL_TYPE, SIZE_T, ULONG);
PVOID ExAllocatePoolPriorityZero(POOL_TYPE, SIZE_T, ULONG, EX_POOL_PRIORITY);
PVOID ExAllocatePoolPriorityUninitialized(POOL_TYPE, SIZE_T, ULONG, EX_POOL_PRIORITY);
VOID ExFreePool(PVOID);
PVOID ExAllocateFromNPagedLookasideList(PNPAGED_LOOKASIDE_LIST);
VOID ExFreeToNPagedLookasideList(PNPAGED_LOOKASIDE_LIST, PVOID);
PVOID ExAllocateFromPagedLookasideList(PPAGED_LOOKASIDE_LIST);
VOID ExFreeToPagedLookasideList(PPAGED_LOOKASIDE_LIST, PVOID);
VOID ExInitializeNPagedLookasideList(PNPAGED_LOOKASIDE_LIST, PALLOCATE_FUNCTION, PFREE_FUNCTION, ULONG, SIZE_T, ULONG, USHORT);
VOID ExInitializePagedLookasideList(PPAGED_LOOKASIDE_LIST, PALLOCATE_FUNCTION, PFREE_FUNCTION, ULONG, SIZE_T, ULONG, USHORT);
VOID ExDeleteNPagedLookasideList(PNPAGED_LOOKASIDE_LIST);
VOID ExDeletePagedLookasideList(PPAGED_LOOKASIDE_LIST);
NTSTATUS ExInitializeLookasideListEx(PLOOKASIDE_LIST_EX, PALLOCATE_FUNCTION_EX, PFREE_FUNCTION_EX, POOL_TYPE, ULONG, SIZE_T, ULONG, USHORT);
VOID ExDeleteLookasideListEx(PLOOKASIDE_LIST_EX);
PVOID ExAllocateFromLookasideListEx(PLOOKASIDE_LIST_EX);
VOID ExFreeToLookasideListEx(PLOOKASIDE_LIST_EX, PVOID);
FK_INLINE VOID ExInitializeDriverRuntime(ULONG flags) { (void)flags; }
VOID ObReferenceObject(PVOID);
VOID ObDereferenceObject(PVOID);
#define ObDereferenceObjectDeferDelete ObDereferenceObject
LONG_PTR ObfReferenceObject(PVOID);
LONG_PTR ObfDereferenceObject(PVOID);
#define ObReferenceObjectWithTag(object, tag) ObReferenceObject(object)
#define ObDereferenceObjectWithTag(object, tag) ObDereferenceObject(object)
PVOID MmGetSystemRoutineAddress(PUNICODE_STRING);
VOID RtlCopyString(PSTRING, const STRING *);
NTSTATUS CmCallbackGetKeyObjectID(PLARGE_INTEGER, PVOID, PULONG_PTR, PCUNICODE_STRING *);
NTSTATUS CmCallbackGetKeyObjectIDEx(PLARGE_INTEGER, PVOID, PULONG_PTR, PCUNICODE_STRING *, ULONG);
VOID RtlInitUnicodeString(PUNICODE_STRING, PCWSTR);
VOID RtlInitAnsiString(PANSI_STRING, PCSTR);
VOID RtlInitString(PSTRING, PCSTR);
VOID RtlFreeUnicodeString(PUNICODE_STRING);
VOID RtlFreeAnsiString(PANSI_STRING);
NTSTATUS RtlUnicodeStringToAnsiString(PANSI_STRING, PCUNICODE_STRING, BOOLEAN);
NTSTATUS RtlAnsiStringToUnicodeString(PUNICODE_STRING, PCANSI_STRING, BOOLEAN);
NTSTATUS RtlUnicodeStringToOemString(POEM_STRING, PCUNICODE_STRING, BOOLEAN);
ULONG RtlxUnicodeStringToAnsiSize(PCUNICODE_STRING);
ULONG RtlxAnsiStringToUnicodeSize(PCANSI_STRING);
BOOLEAN RtlIsNameLegalDOS8Dot3(PCUNICODE_STRING, POEM_STRING, PBOOLEAN);
NTSTATUS RtlCharToInteger(PCSTR, ULONG, PULONG);
BOOLEAN RtlTimeToSecondsSince1970(PLARGE_INTEGER, PULONG);
WCHAR RtlAnsiCharToUnicodeChar(PUCHAR *);
ULONG RtlUniform(PULONG);
VOID RtlFreeOemString(POEM_STRING);
NTSTATUS KeSaveFloatingPointState(PKFLOATING_SAVE);
NTSTATUS KeRestoreFloatingPointState(PKFLOATING_SAVE);

FK_INLINE BOOLEAN fk_same_memory(const VOID *a, const VOID *b, SIZE_T size) { return memcmp(a, b, size) == 0; }
SIZE_T RtlCompareMemory(const VOID *, const VOID *, SIZE_T);
PVOID RtlSecureZeroMemory(PVOID, SIZE_T);
#define RtlEqualMemory(a, b, size) fk_same_memory(a, b, size)
#define RtlCopyMemory(to, from, size) memcpy((to), (from), (size))
#define RtlMoveMemory(to, from, size) memmove((to), (from), (size))
#define RtlFillMemory(to, size, byte) memset((to), (byte), (size))
#define RtlZeroMemory(to, size) memset((to), 0, (size))
#define RtlCopyBytes RtlCopyMemory
#define RtlZeroBytes RtlZeroMemory
#define RtlFillBytes RtlFillMemory
#define RtlCopyVolatileMemory RtlCopyMemory
#define RtlCopyDeviceMemory RtlCopyMemory
#define CopyMemory RtlCopyMemory
#define MoveMemory RtlMoveMemory
#define ZeroMemory RtlZeroMemory
#define FillMemory RtlFillMemory
#define RtlRetrieveUlong(to, from) memcpy((to), (from), sizeof(ULONG))
#define RtlStoreUlong(to, value) do { ULONG fk_value = (value); memcpy((to), &fk_value, sizeof(ULONG)); } while (0)
#define RtlStoreUlonglong(to, value) do { ULONGLONG fk_value = (value); memcpy((to), &fk_value, sizeof(ULONGLONG)); } while (0)
#define RtlUlongByteSwap(n) __builtin_bswap32(n)
#define RtlUshortByteSwap(n) __builtin_bswap16(n)
#define RtlUlonglongByteSwap(n) __builtin_bswap64(n)
#define RtlEqualLuid(a, b) ((a)->LowPart == (b)->LowPart && (a)->HighPart == (b)->HighPart)
#define RtlIsZeroLuid(a) ((a)->LowPart == 0 && (a)->HighPart == 0)
#define RtlInitEmptyUnicodeString(s, buffer, size) ((void)((s)->Buffer = (buffer), (s)->Length = 0, (s)->MaximumLength = (USHORT)(size)))
#define RtlInitEmptyAnsiString(s, buffer, size) ((void)((s)->Buffer = (buffer), (s)->Length = 0, (s)->MaximumLength = (USHORT)(size)))
#define RtlUnicodeStringToAnsiSize(s) RtlxUnicodeStringToAnsiSize(s)
#define RtlAnsiStringToUnicodeSize(s) RtlxAnsiStringToUnicodeSize(s)
#define RtlOffsetToPointer(base, offset) ((PCHAR)(base) + (ULONG_PTR)(offset))
#define RtlPointerToOffset(base, p) ((ULONG)((PCHAR)(p) - (PCHAR)(base)))
#define PAGED_CODE() fk_paged_code(__func__, __FILE__, __LINE__)
#define PAGED_CODE_LOCKED() ((void)0)
#define NPAGED_CODE() ((void)0)
#define PAGED
#define NONPAGED
#define INITCODE
VOID fk_paged_code(PCSTR, PCSTR, int);
int fk_assertion(PCSTR, PCSTR, int);
#define ASSERT(condition) ((void)(!(condition) && fk_assertion(#condition, __FILE__, __LINE__)))
#define ASSERTMSG(text, condition) ((void)(!(condition) && fk_assertion(text, __FILE__, __LINE__)))
#define RTL_ASSERT ASSERT
#define RTL_VERIFY ASSERT
#define NT_ASSERT ASSERT
#define NT_ASSERTMSG ASSERTMSG
#define NT_ASSERTMSGW(text, condition) ASSERT(condition)
#define NT_VERIFY ASSERT
#define NT_VERIFYMSG ASSERTMSG
#define NT_FRE_ASSERT ASSERT
#define RTL_SOFT_ASSERT ASSERT
ULONG DbgPrint(PCSTR, ...);
ULONG DbgPrintEx(ULONG, ULONG, PCSTR, ...);
ULONG vDbgPrintEx(ULONG, ULONG, PCSTR, va_list);
ULONG vDbgPrintExWithPrefix(PCSTR, ULONG, ULONG, PCSTR, va_list);
#define KdPrint(parenthesised) DbgPrint parenthesised
#define KdPrintEx(parenthesised) DbgPrintEx parenthesised
#define KdBreakPoint() DbgBreakPoint()
VOID DbgBreakPoint(VOID);
#define DPFLTR_SYSTEM_ID 0
#define DPFLTR_FLTMGR_ID 66
#define DPFLTR_IHVVIDEO_ID 76
#define DPFLTR_IHVDRIVER_ID 77
#define DPFLTR_IHVAUDIO_ID 78
#define DPFLTR_IHVNETWORK_ID 79
#define DPFLTR_DEFAULT_ID 101
#define DPFLTR_ERROR_LEVEL 0
#define DPFLTR_WARNING_LEVEL 1
#define DPFLTR_TRACE_LEVEL 2
#define DPFLTR_INFO_LEVEL 3
#define DPFLTR_MASK 0x80000000

/* ---- lists ---- */
FK_INLINE VOID InitializeListHead(PLIST_ENTRY head) { head->Flink = head->Blink = head; }
FK_INLINE BOOLEAN IsListEmpty(const LIST_ENTRY *head) { return head->Flink == head; }
VOID fk_check_list(PLIST_ENTRY, PCSTR, int);
FK_INLINE BOOLEAN fk_remove_entry(PLIST_ENTRY entry, PCSTR file, int line)
{
    fk_check_list(entry, file, line);
    entry->Blink->Flink = entry->Flink;
    entry->Flink->Blink = entry->Blink;
    return entry->Flink == entry->Blink;
}
#define RemoveEntryList(entry) fk_remove_entry(entry, __FILE__, __LINE__)
FK_INLINE PLIST_ENTRY fk_remove(PLIST_ENTRY entry, PCSTR file, int line) { fk_remove_entry(entry, file, line); return entry; }
#define RemoveHeadList(head) fk_remove((head)->Flink, __FILE__, __LINE__)
#define RemoveTailList(head) fk_remove((head)->Blink, __FILE__, __LINE__)
FK_INLINE VOID InsertTailList(PLIST_ENTRY head, PLIST_ENTRY entry)
{
    PLIST_ENTRY last = head->Blink;
    entry->Flink = head;
    entry->Blink = last;
    last->Flink = entry;
    head->Blink = entry;
}
FK_INLINE VOID InsertHeadList(PLIST_ENTRY head, PLIST_ENTRY entry)
{
    PLIST_ENTRY first = head->Flink;
    entry->Flink = first;
    entry->Blink = head;
    first->Blink = entry;
    head->Flink = entry;
}
FK_INLINE VOID AppendTailList(PLIST_ENTRY head, PLIST_ENTRY list)
{
    PLIST_ENTRY end = head->Blink;
    head->Blink->Flink = list;
    head->Blink = list->Blink;
    list->Blink->Flink = head;
    list->Blink = end;
}
FK_INLINE PSINGLE_LIST_ENTRY PopEntryList(PSINGLE_LIST_ENTRY head)
{
    PSINGLE_LIST_ENTRY first = head->Next;
    if (first) head->Next = first->Next;
    return first;
}
FK_INLINE VOID PushEntryList(PSINGLE_LIST_ENTRY head, PSINGLE_LIST_ENTRY entry) { entry->Next = head->Next; head->Next = entry; }

/* ---- single operations that no other thread sees half done ---- */
FK_INLINE LONG InterlockedIncrement(volatile LONG *p) { return __atomic_add_fetch(p, 1, __ATOMIC_SEQ_CST); }
FK_INLINE LONG InterlockedDecrement(volatile LONG *p) { return __atomic_sub_fetch(p, 1, __ATOMIC_SEQ_CST); }
FK_INLINE LONG InterlockedExchange(volatile LONG *p, LONG value) { return __atomic_exchange_n(p, value, __ATOMIC_SEQ_CST); }
FK_INLINE LONG InterlockedExchangeAdd(volatile LONG *p, LONG value) { return __atomic_fetch_add(p, value, __ATOMIC_SEQ_CST); }
FK_INLINE LONG InterlockedAdd(volatile LONG *p, LONG value) { return __atomic_add_fetch(p, value, __ATOMIC_SEQ_CST); }
FK_INLINE LONG InterlockedOr(volatile LONG *p, LONG value) { return __atomic_fetch_or(p, value, __ATOMIC_SEQ_CST); }
FK_INLINE LONG InterlockedAnd(volatile LONG *p, LONG value) { return __atomic_fetch_and(p, value, __ATOMIC_SEQ_CST); }
FK_INLINE LONG InterlockedXor(volatile LONG *p, LONG value) { return __atomic_fetch_xor(p, value, __ATOMIC_SEQ_CST); }
FK_INLINE LONG InterlockedCompareExchange(volatile LONG *p, LONG value, LONG expected)
{
    __atomic_compare_exchange_n(p, &expected, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return expected;
}
FK_INLINE LONG64 InterlockedIncrement64(volatile LONG64 *p) { return __atomic_add_fetch(p, 1, __ATOMIC_SEQ_CST); }
FK_INLINE LONG64 InterlockedDecrement64(volatile LONG64 *p) { return __atomic_sub_fetch(p, 1, __ATOMIC_SEQ_CST); }
FK_INLINE LONG64 InterlockedExchange64(volatile LONG64 *p, LONG64 value) { return __atomic_exchange_n(p, value, __ATOMIC_SEQ_CST); }
FK_INLINE LONG64 InterlockedExchangeAdd64(volatile LONG64 *p, LONG64 value) { return __atomic_fetch_add(p, value, __ATOMIC_SEQ_CST); }
FK_INLINE LONG64 InterlockedAdd64(volatile LONG64 *p, LONG64 value) { return __atomic_add_fetch(p, value, __ATOMIC_SEQ_CST); }
FK_INLINE LONG64 InterlockedOr64(volatile LONG64 *p, LONG64 value) { return __atomic_fetch_or(p, value, __ATOMIC_SEQ_CST); }
FK_INLINE LONG64 InterlockedAnd64(volatile LONG64 *p, LONG64 value) { return __atomic_fetch_and(p, value, __ATOMIC_SEQ_CST); }
FK_INLINE LONG64 InterlockedCompareExchange64(volatile LONG64 *p, LONG64 value, LONG64 expected)
{
    __atomic_compare_exchange_n(p, &expected, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return expected;
}
FK_INLINE PVOID InterlockedExchangePointer(PVOID volatile *p, PVOID value) { return __atomic_exchange_n(p, value, __ATOMIC_SEQ_CST); }
FK_INLINE PVOID InterlockedCompareExchangePointer(PVOID volatile *p, PVOID value, PVOID expected)
{
    __atomic_compare_exchange_n(p, &expected, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return expected;
}
FK_INLINE SHORT InterlockedIncrement16(volatile SHORT *p) { return __atomic_add_fetch(p, 1, __ATOMIC_SEQ_CST); }
FK_INLINE SHORT InterlockedDecrement16(volatile SHORT *p) { return __atomic_sub_fetch(p, 1, __ATOMIC_SEQ_CST); }
FK_INLINE UCHAR InterlockedBitTestAndSet(volatile LONG *p, LONG bit) { return (__atomic_fetch_or(p, 1 << bit, __ATOMIC_SEQ_CST) >> bit) & 1; }
FK_INLINE UCHAR InterlockedBitTestAndReset(volatile LONG *p, LONG bit) { return (__atomic_fetch_and(p, ~(1 << bit), __ATOMIC_SEQ_CST) >> bit) & 1; }
#define InterlockedExchangePointer(p, value) InterlockedExchangePointer((PVOID volatile *)(p), (PVOID)(value))
#define InterlockedCompareExchangePointer(p, value, expected) InterlockedCompareExchangePointer((PVOID volatile *)(p), (PVOID)(value), (PVOID)(expected))
#define InterlockedIncrementAcquire InterlockedIncrement
#define InterlockedDecrementRelease InterlockedDecrement
#define InterlockedCompareExchangeAcquire InterlockedCompareExchange
#define InterlockedCompareExchangeRelease InterlockedCompareExchange
#define InterlockedIncrementSizeT(p) InterlockedIncrement64((volatile LONG64 *)(p))
#define InterlockedDecrementSizeT(p) InterlockedDecrement64((volatile LONG64 *)(p))
#define RtlInterlockedSetBits(p, bits) InterlockedOr((volatile LONG *)(p), (LONG)(bits))
#define RtlInterlockedClearBits(p, bits) InterlockedAnd((volatile LONG *)(p), ~(LONG)(bits))
#define RtlInterlockedSetClearBits(p, set, clear) do { RtlInterlockedSetBits(p, set); RtlInterlockedClearBits(p, clear); } while (0)
#define RtlInterlockedSetBitsDiscardReturn(p, bits) ((void)RtlInterlockedSetBits(p, bits))
#define RtlInterlockedClearBitsDiscardReturn(p, bits) ((void)RtlInterlockedClearBits(p, bits))
#define SetFlagInterlocked(p, bits) RtlInterlockedSetBits(p, bits)
#define ClearFlagInterlocked(p, bits) RtlInterlockedClearBits(p, bits)
#define KeMemoryBarrier() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define KeMemoryBarrierWithoutFence() __atomic_signal_fence(__ATOMIC_SEQ_CST)
#define MemoryBarrier KeMemoryBarrier
#define _ReadWriteBarrier KeMemoryBarrierWithoutFence
#define YieldProcessor() ((void)0)
#define ReadPointerAcquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define ReadAcquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define ReadNoFence(p) __atomic_load_n(p, __ATOMIC_RELAXED)
#define ReadULongAcquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define WriteRelease(p, value) __atomic_store_n(p, value, __ATOMIC_RELEASE)
#define WriteNoFence(p, value) __atomic_store_n(p, value, __ATOMIC_RELAXED)
#define ExInterlockedAddUlong(p, value, lock) ((ULONG)InterlockedExchangeAdd((volatile LONG *)(p), (LONG)(value)))

/* ---- text: a WCHAR has 16 bits, the C library's wide characters have 32 ---- */
size_t fk_wcslen(PCWSTR);
size_t fk_wcsnlen(PCWSTR, size_t);
int fk_wcscmp(PCWSTR, PCWSTR);
int fk_wcsncmp(PCWSTR, PCWSTR, size_t);
int fk_wcsicmp(PCWSTR, PCWSTR);
int fk_wcsnicmp(PCWSTR, PCWSTR, size_t);
PWSTR fk_wcschr(PCWSTR, WCHAR);
PWSTR fk_wcsrchr(PCWSTR, WCHAR);
PWSTR fk_wcsstr(PCWSTR, PCWSTR);
PWSTR fk_wcscpy(PWSTR, PCWSTR);
PWSTR fk_wcsncpy(PWSTR, PCWSTR, size_t);
PWSTR fk_wcscat(PWSTR, PCWSTR);
PWSTR fk_wcsncat(PWSTR, PCWSTR, size_t);
PWSTR fk_wcsupr(PWSTR);
PWSTR fk_wcslwr(PWSTR);
WCHAR fk_towupper(WCHAR);
WCHAR fk_towlower(WCHAR);
int fk_wcscpy_s(PWSTR, size_t, PCWSTR);
int fk_wcsncpy_s(PWSTR, size_t, PCWSTR, size_t);
int fk_wcscat_s(PWSTR, size_t, PCWSTR);
int fk_wcsncat_s(PWSTR, size_t, PCWSTR, size_t);
int fk_strcpy_s(PSTR, size_t, PCSTR);
int fk_strncpy_s(PSTR, size_t, PCSTR, size_t);
int fk_strcat_s(PSTR, size_t, PCSTR);
int fk_strncat_s(PSTR, size_t, PCSTR, size_t);
int fk_stricmp(PCSTR, PCSTR);
int fk_strnicmp(PCSTR, PCSTR, size_t);
PSTR fk_strupr(PSTR);
PSTR fk_strlwr(PSTR);
int fk_wtoi(PCWSTR);
unsigned int fk_wcstoul(PCWSTR, PWSTR *, int);
int fk_swprintf(PWSTR, PCWSTR, ...);
int fk_snwprintf(PWSTR, size_t, PCWSTR, ...);
int fk_vsnwprintf(PWSTR, size_t, PCWSTR, va_list);
int fk_swprintf_s(PWSTR, size_t, PCWSTR, ...);
int fk_sprintf(PSTR, PCSTR, ...);
int fk_snprintf(PSTR, size_t, PCSTR, ...);
int fk_vsnprintf(PSTR, size_t, PCSTR, va_list);
int fk_sprintf_s(PSTR, size_t, PCSTR, ...);
#define wcslen fk_wcslen
#define wcsnlen fk_wcsnlen
#define wcsnlen_s fk_wcsnlen
#define wcscmp fk_wcscmp
#define wcsncmp fk_wcsncmp
#define _wcsicmp fk_wcsicmp
#define _wcsnicmp fk_wcsnicmp
#define wcschr fk_wcschr
#define wcsrchr fk_wcsrchr
#define wcsstr fk_wcsstr
#define wcscpy fk_wcscpy
#define wcsncpy fk_wcsncpy
#define wcscat fk_wcscat
#define wcsncat fk_wcsncat
#define _wcsupr fk_wcsupr
#define _wcslwr fk_wcslwr
#define towupper fk_towupper
#define towlower fk_towlower
#define wcscpy_s fk_wcscpy_s
#define wcsncpy_s fk_wcsncpy_s
#define wcscat_s fk_wcscat_s
#define wcsncat_s fk_wcsncat_s
#define memcpy_s(to, room, from, size) memcpy((to), (from), (size))
#define memmove_s(to, room, from, size) memmove((to), (from), (size))
#define strcpy_s fk_strcpy_s
#define strncpy_s fk_strncpy_s
#define strcat_s fk_strcat_s
#define strncat_s fk_strncat_s
#define _stricmp fk_stricmp
#define stricmp fk_stricmp
#define _strnicmp fk_strnicmp
#define _strupr fk_strupr
#define _strlwr fk_strlwr
#define _wtoi fk_wtoi
#define wcstoul fk_wcstoul
#define swprintf fk_swprintf
#define _swprintf fk_swprintf
#define _snwprintf fk_snwprintf
#define _vsnwprintf fk_vsnwprintf
#define swprintf_s fk_swprintf_s
#define sprintf fk_sprintf
#define _snprintf fk_snprintf
#define snprintf fk_snprintf
#define _vsnprintf fk_vsnprintf
#define vsnprintf fk_vsnprintf
#define sprintf_s fk_sprintf_s
#define RtlStringCchLengthWorkerW fk_wcsnlen
#define _TRUNCATE ((size_t)-1)

EXTERN_C_END
