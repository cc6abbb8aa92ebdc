//! Every other name of the filter manager and the kernel: so that each driver links, and says where it calls one.
//!
//! Names are facts: those of Microsoft's metadata for drivers, and the kernel's exports. What has a prototype in
//! include/fltkernel and is not simulated is among them. More than 500 lines, because it is a list of names.

use std::collections::HashSet;
use std::sync::Mutex;

use crate::edge::Place;
use crate::kernel::report::{self, Rule};
use crate::lock;
use crate::nt::status;

static SEEN: Mutex<Option<HashSet<(&'static str, Place)>>> = Mutex::new(None);

/// A driver has called a name that is not simulated: said once for each place.
fn hit(name: &'static str) {
    let place = Place::here();
    if lock(&SEEN).get_or_insert_default().insert((name, place)) {
        report::find_at(Rule::Stub, format!("{name} is not simulated: it fails"), place);
    }
}

macro_rules! stubs {
    ($(returns $result:expr; $($name:ident)*;)*) => {
        $($(
            #[unsafe(no_mangle)]
            extern "C" fn $name() -> u64 {
                hit(stringify!($name));
                $result
            }
        )*)*

        /// All of them.
        pub(crate) const NAMES: &[&str] = &[$($(stringify!($name)),*),*];
    };
}

// a status: STATUS_NOT_IMPLEMENTED; all else: NULL, FALSE, 0 or nothing
stubs! {
    returns status::NOT_IMPLEMENTED.0.into();
        CcErrorCallbackRoutine CcSetFileSizesEx CcWaitForCurrentLazyWriterActivity CmCallbackGetKeyObjectID CmCallbackGetKeyObjectIDEx
          CmSetCallbackObjectContext DbgQueryDebugFilterState
        DbgSetDebugFilterState DbgSetDebugPrintCallback EtwActivityIdControl EtwRegister EtwSetInformation EtwUnregister EtwWrite EtwWriteEx
        EtwWriteString EtwWriteTransfer ExCreateCallback ExCreatePool ExEnumerateSystemFirmwareTables ExExtendZone
        ExGetFirmwareEnvironmentVariable ExGetSystemFirmwareTable ExInitializeZone ExInterlockedExtendZone ExSecurePoolUpdate
        ExSetFirmwareEnvironmentVariable ExUuidCreate FltAddOpenReparseEntry FltAdjustDeviceStackSizeForIoRedirection
        FltAllocateCallbackDataEx FltAllocateExtraCreateParameter FltAllocateExtraCreateParameterFromLookasideList
        FltAllocateExtraCreateParameterList FltApplyPriorityInfoThread FltCancellableWaitForMultipleObjects FltCloseSectionForDataScan
        FltCommitComplete FltCommitFinalizeComplete FltCopyOpenReparseList FltCreateMailslotFile FltCreateNamedPipeFile
        FltCreateSectionForDataScan FltDeleteTransactionContext FltDeviceIoControlFile FltEnlistInTransaction FltEnumerateFilterInformation
        FltEnumerateFilters FltEnumerateInstanceInformationByDeviceObject FltEnumerateInstanceInformationByFilter
        FltEnumerateInstanceInformationByVolume FltEnumerateInstanceInformationByVolumeName FltEnumerateVolumeInformation
        FltFindExtraCreateParameter FltFlushBuffers2 FltGetActivityIdCallbackData FltGetBottomInstance FltGetContextsEx
        FltGetEcpListFromCallbackData FltGetFilterInformation FltGetFsZeroingOffset FltGetInstanceInformation FltGetLowerInstance
        FltGetNextExtraCreateParameter FltGetSectionContext FltGetTopInstance FltGetUpperInstance FltGetVolumeInformation
        FltInsertExtraCreateParameter FltIsIoRedirectionAllowed FltIsIoRedirectionAllowedForOperation FltIsVolumeSnapshot FltLoadFilter
        FltOpenVolume FltPerformAsynchronousIo FltPrePrepareComplete FltPrepareComplete FltPropagateActivityIdToThread
        FltPropagateIrpExtension FltPurgeFileNameInformationCache FltQueryDirectoryFileEx FltQueryEaFile FltQueryInformationByName
        FltQueryQuotaInformationFile FltQuerySecurityObject FltQueryVolumeInformation FltQueryVolumeInformationFile FltReadFileEx
        FltRegisterForDataScan FltRemoveExtraCreateParameter FltRequestFileInfoOnCreateCompletion FltRetrieveFileInfoOnCreateCompletionEx
        FltRetrieveIoPriorityInfo FltRollbackComplete FltRollbackEnlistment FltSetActivityIdCallbackData FltSetEaFile
        FltSetEcpListIntoCallbackData FltSetFsZeroingOffset FltSetFsZeroingOffsetRequired FltSetIoPriorityHintIntoCallbackData
        FltSetIoPriorityHintIntoFileObject FltSetIoPriorityHintIntoThread FltSetQuotaInformationFile FltSetSecurityObject
        FltSetVolumeInformation FltTagFile FltTagFileEx FltUnloadFilter FltUntagFile FltVetoBypassIo FltWriteFileEx
        FltpTraceRedirectedFileIo FsRtlAddBaseMcbEntryEx FsRtlAllocateExtraCreateParameter
        FsRtlAllocateExtraCreateParameterFromLookasideList FsRtlAllocateExtraCreateParameterList FsRtlBalanceReads
        FsRtlCancellableWaitForMultipleObjects FsRtlCancellableWaitForSingleObject FsRtlChangeBackingFileObject FsRtlCheckOplock
        FsRtlCheckOplockEx FsRtlCheckOplockEx2 FsRtlCheckUpperOplock FsRtlCreateSectionForDataScan FsRtlFastUnlockAll
        FsRtlFastUnlockAllByKey FsRtlFastUnlockSingle FsRtlFindExtraCreateParameter FsRtlGetEcpListFromIrp FsRtlGetNextExtraCreateParameter
        FsRtlGetSectorSizeInformation FsRtlGetSupportedFeatures FsRtlGetVirtualDiskNestingLevel FsRtlInitializeExtraCreateParameterList
        FsRtlInsertExtraCreateParameter FsRtlInsertPerFileContext FsRtlInsertPerFileObjectContext FsRtlInsertPerStreamContext
        FsRtlIssueDeviceIoControl FsRtlKernelFsControlFile FsRtlLogCcFlushError FsRtlMdlReadEx FsRtlMupGetProviderIdFromName
        FsRtlMupGetProviderInfoFromFileObject FsRtlNormalizeNtstatus FsRtlNotifyVolumeEvent FsRtlNotifyVolumeEventEx FsRtlOplockBreakH
        FsRtlOplockBreakH2 FsRtlOplockBreakToNone FsRtlOplockBreakToNoneEx FsRtlOplockFsctrl FsRtlOplockFsctrlEx FsRtlPrepareMdlWriteEx
        FsRtlProcessFileLock FsRtlQueryCachedVdl FsRtlQueryInformationFile FsRtlQueryKernelEaFile FsRtlRegisterFileSystemFilterCallbacks
        FsRtlRegisterUncProvider FsRtlRegisterUncProviderEx FsRtlRegisterUncProviderEx2 FsRtlRemoveDotsFromPath
        FsRtlRemoveExtraCreateParameter FsRtlSetDriverBacking FsRtlSetEcpListIntoIrp FsRtlSetKernelEaFile FsRtlUpperOplockFsctrl
        FsRtlValidateReparsePointBuffer FsRtlVolumeDeviceToCorrelationId HalAllocateAdapterChannel HalAllocateHardwareCounters
        HalAssignSlotResources HalDmaAllocateCrashDumpRegistersEx HalDmaFreeCrashDumpRegistersEx HalFreeHardwareCounters
        HvlRegisterWheaErrorNotification HvlUnregisterWheaErrorNotification IoAcquireKsrPersistentMemory IoAcquireKsrPersistentMemoryEx
        IoAcquireRemoveLockEx IoAllocateAdapterChannel IoAllocateDriverObjectExtension IoAllocateSfioStreamIdentifier
        IoApplyPriorityInfoThread IoAssignResources IoAttachDevice IoAttachDeviceByPointer IoAttachDeviceToDeviceStackSafe
        IoCheckDesiredAccess IoCheckEaBufferValidity IoCheckFunctionAccess IoCheckLinkShareAccess IoCheckQuerySetFileInformation
        IoCheckQuerySetVolumeInformation IoCheckQuotaBufferValidity IoCheckShareAccess IoCheckShareAccessEx IoClearFsTrackOffsetState
        IoConnectInterrupt IoConnectInterruptEx IoCreateDeviceSecure IoCreateDisk IoCreateFile IoCreateFileEx
        IoCreateFileSpecifyDeviceObjectHint IoCreateStreamFileObjectEx2 IoCreateSystemThread IoCreateUnprotectedSymbolicLink IoCsqInitialize
        IoCsqInitializeEx IoCsqInsertIrpEx IoDecrementKeepAliveCount IoEnumerateDeviceObjectList IoEnumerateKsrPersistentMemoryEx
        IoEnumerateRegisteredFiltersList IoFreeKsrPersistentMemory IoFreeSfioStreamIdentifier IoGetActivityIdIrp IoGetAffinityInterrupt
        IoGetBootDiskInformation IoGetBootDiskInformationLite IoGetContainerInformation IoGetDeviceDirectory IoGetDeviceInterfaceAlias
        IoGetDeviceInterfacePropertyData IoGetDeviceInterfaces IoGetDeviceNumaNode IoGetDeviceObjectPointer IoGetDeviceProperty
        IoGetDevicePropertyData IoGetDiskDeviceObject IoGetDriverDirectory IoGetFsTrackOffsetState IoGetFsZeroingOffset
        IoGetIoAttributionHandle IoGetIommuInterface IoGetIommuInterfaceEx IoGetIrpExtraCreateParameter IoGetRequestorSessionId
        IoIncrementKeepAliveCount IoInitializeTimer IoOpenDeviceInterfaceRegistryKey IoOpenDeviceRegistryKey IoPageRead
        IoPropagateActivityIdToThread IoQueryDeviceDescription IoQueryFileDosDeviceName IoQueryFileInformation IoQueryFullDriverPath
        IoQueryInformationByName IoQueryKsrPersistentMemorySize IoQueryKsrPersistentMemorySizeEx IoQueryVolumeInformation
        IoReadDiskSignature IoReadPartitionTable IoReadPartitionTableEx IoRecordIoAttribution IoRegisterContainerNotification
        IoRegisterDeviceInterface IoRegisterFsRegistrationChange IoRegisterFsRegistrationChangeMountAware
        IoRegisterLastChanceShutdownNotification IoRegisterPlugPlayNotification IoRegisterShutdownNotification IoReplaceFileObjectName
        IoReplacePartitionUnit IoReportDetectedDevice IoReportResourceForDetection IoReportResourceUsage IoReportRootDevice
        IoReportTargetDeviceChange IoReportTargetDeviceChangeAsynchronous IoRequestDeviceEjectEx IoRequestDeviceRemovalForReset
        IoReserveKsrPersistentMemory IoReserveKsrPersistentMemoryEx IoRetrievePriorityInfo IoSetActivityIdIrp IoSetCompletionRoutineEx
        IoSetDeviceInterfacePropertyData IoSetDeviceInterfaceState IoSetDevicePropertyData IoSetFileObjectIgnoreSharing IoSetFileOrigin
        IoSetFsTrackOffsetState IoSetFsZeroingOffset IoSetFsZeroingOffsetRequired IoSetInformation IoSetIoAttributionIrp IoSetIoPriorityHint
        IoSetIrpExtraCreateParameter IoSetPartitionInformation IoSetPartitionInformationEx IoSetSystemPartition IoSynchronousCallDriver
        IoSynchronousPageWrite IoUnregisterPlugPlayNotification IoUnregisterPlugPlayNotificationEx IoValidateDeviceIoControlAccess
        IoVerifyPartitionTable IoVerifyVolume IoVolumeDeviceNameToGuid IoVolumeDeviceNameToGuidPath IoVolumeDeviceToGuid
        IoVolumeDeviceToGuidPath IoWMIAllocateInstanceIds IoWMIDeviceObjectToInstanceName IoWMIExecuteMethod IoWMIHandleToInstanceName
        IoWMIOpenBlock IoWMIQueryAllData IoWMIQueryAllDataMultiple IoWMIQuerySingleInstance IoWMIQuerySingleInstanceMultiple
        IoWMIRegistrationControl IoWMISetNotificationCallback IoWMISetSingleInstance IoWMISetSingleItem IoWMISuggestInstanceName
        IoWMIWriteEvent IoWriteKsrPersistentMemory IoWritePartitionTable IoWritePartitionTableEx KdChangeOption KdDisableDebugger
        KdEnableDebugger KeAddTriageDumpDataBlock KeConvertAuxiliaryCounterToPerformanceCounter
        KeConvertPerformanceCounterToAuxiliaryCounter KeDeregisterBoundCallback KeDeregisterNmiCallback KeExpandKernelStackAndCallout
        KeExpandKernelStackAndCalloutEx KeGetProcessorNumberFromIndex KeInitializeCrashDumpHeader KeInitializeTriageDumpDataArray
        KeQueryAuxiliaryCounterFrequency KeQueryDpcWatchdogInformation KeQueryHardwareCounterConfiguration
        KeQueryLogicalProcessorRelationship KeQueryNodeActiveAffinity2 KeSetHardwareCounterConfiguration KeSetTargetProcessorDpcEx
        MmAddPhysicalMemory MmAddVerifierSpecialThunks MmAddVerifierThunks MmAdvanceMdl MmAllocateContiguousMemoryEx MmAllocateMdlForIoSpace
        MmCopyMemory MmCreateMirror MmGetCacheAttribute MmGetCacheAttributeEx MmIsFileSectionActive MmIsVerifierEnabled MmMapMdl
        MmMapMemoryDumpMdlEx MmMapUserAddressesToPage MmMapViewInSessionSpace MmMapViewInSessionSpaceEx MmMapViewInSystemSpace
        MmMapViewInSystemSpaceEx MmPrefetchPages MmProtectDriverSection MmProtectMdlSystemAddress MmRemovePhysicalMemory
        MmRotatePhysicalView MmSetPermanentCacheAttribute MmUnmapViewInSessionSpace MmUnmapViewInSystemSpace NtAccessCheckAndAuditAlarm
        NtAccessCheckByTypeAndAuditAlarm NtAccessCheckByTypeResultListAndAuditAlarm NtAccessCheckByTypeResultListAndAuditAlarmByHandle
        NtAddAtom NtAdjustGroupsToken NtAdjustPrivilegesToken NtAllocateLocallyUniqueId NtAllocateUuids NtAllocateVirtualMemory
        NtAllocateVirtualMemoryEx NtCancelIoFileEx NtCancelTimer NtClose NtCloseObjectAuditAlarm NtCommitComplete NtCommitEnlistment
        NtCommitRegistryTransaction NtCommitTransaction NtConnectPort NtCreateDirectoryObject NtCreateEnlistment NtCreateEvent NtCreateFile
        NtCreateKey NtCreateKeyTransacted NtCreateRegistryTransaction NtCreateResourceManager NtCreateSection NtCreateSectionEx
        NtCreateTimer NtCreateTransaction NtCreateTransactionManager NtDeleteAtom NtDeleteFile NtDeleteKey NtDeleteObjectAuditAlarm
        NtDeleteValueKey NtDeviceIoControlFile NtDisplayString NtDuplicateObject NtDuplicateToken NtEnumerateKey
        NtEnumerateTransactionObject NtEnumerateValueKey NtFilterToken NtFindAtom NtFlushBuffersFile NtFlushBuffersFileEx NtFlushKey
        NtFlushVirtualMemory NtFreeVirtualMemory NtFreezeTransactions NtFsControlFile NtGetEnvironmentVariableEx
        NtGetNotificationResourceManager NtImpersonateAnonymousToken NtLoadDriver NtLockFile NtMakePermanentObject NtMakeTemporaryObject
        NtManagePartition NtMapViewOfSection NtNotifyChangeDirectoryFile NtNotifyChangeKey NtNotifyChangeMultipleKeys NtOpenDirectoryObject
        NtOpenEnlistment NtOpenEvent NtOpenFile NtOpenKey NtOpenKeyEx NtOpenKeyTransacted NtOpenKeyTransactedEx NtOpenObjectAuditAlarm
        NtOpenProcess NtOpenProcessToken NtOpenProcessTokenEx NtOpenRegistryTransaction NtOpenResourceManager NtOpenSection
        NtOpenSymbolicLinkObject NtOpenThread NtOpenThreadToken NtOpenThreadTokenEx NtOpenTimer NtOpenTransaction NtOpenTransactionManager
        NtPowerInformation NtPrePrepareComplete NtPrePrepareEnlistment NtPrepareComplete NtPrepareEnlistment NtPrivilegeCheck
        NtPrivilegeObjectAuditAlarm NtPrivilegedServiceAuditAlarm NtPropagationComplete NtPropagationFailed NtQueryDirectoryFile
        NtQueryDirectoryFileEx NtQueryDirectoryObject NtQueryEaFile NtQueryEnvironmentVariableInfoEx NtQueryFullAttributesFile
        NtQueryInformationAtom NtQueryInformationByName NtQueryInformationEnlistment NtQueryInformationFile NtQueryInformationProcess
        NtQueryInformationResourceManager NtQueryInformationThread NtQueryInformationToken NtQueryInformationTransaction
        NtQueryInformationTransactionManager NtQueryKey NtQueryMultipleValueKey NtQueryObject NtQueryQuotaInformationFile
        NtQuerySecurityAttributesToken NtQuerySecurityObject NtQuerySymbolicLinkObject NtQuerySystemInformation NtQuerySystemInformationEx
        NtQuerySystemTime NtQueryTimerResolution NtQueryValueKey NtQueryVirtualMemory NtQueryVolumeInformationFile NtReadFile
        NtReadOnlyEnlistment NtRecoverEnlistment NtRecoverResourceManager NtRecoverTransactionManager NtRegisterProtocolAddressInformation
        NtRenameKey NtRenameTransactionManager NtRequestPort NtRequestWaitReplyPort NtRestoreKey NtRollbackComplete NtRollbackEnlistment
        NtRollbackRegistryTransaction NtRollbackTransaction NtRollforwardTransactionManager NtSaveKey NtSaveKeyEx NtSetEaFile NtSetEvent
        NtSetInformationEnlistment NtSetInformationFile NtSetInformationKey NtSetInformationProcess NtSetInformationResourceManager
        NtSetInformationThread NtSetInformationToken NtSetInformationTransaction NtSetInformationTransactionManager
        NtSetInformationVirtualMemory NtSetQuotaInformationFile NtSetSecurityObject NtSetTimer NtSetTimerEx NtSetValueKey
        NtSetVolumeInformationFile NtShutdownSystem NtSinglePhaseReject NtTerminateProcess NtThawTransactions NtTraceControl NtTraceEvent
        NtUnloadDriver NtUnlockFile NtUnmapViewOfSection NtVdmControl NtWaitForSingleObject NtWriteFile ObCloseHandle ObGetObjectSecurity
        ObInsertObject ObOpenObjectByPointerWithTag ObQueryNameString ObQueryObjectAuditingByHandle ObReferenceObjectByHandleWithTag
        ObReferenceObjectByPointerWithTag ObRegisterCallbacks PcwAddInstance PcwCreateInstance PcwRegister PoCallDriver PoClearPowerRequest
        PoCreatePowerRequest PoCreateThermalRequest PoFxPowerControl PoFxPowerOnCrashdumpDevice PoFxQueryCurrentComponentPerfState
        PoFxRegisterComponentPerfStates PoFxRegisterCrashdumpDevice PoFxRegisterDevice PoFxSetTargetDripsDevicePowerState
        PoQueueShutdownWorkItem PoRegisterPowerSettingCallback PoRequestPowerIrp PoSetPowerRequest PoSetThermalActiveCooling
        PoSetThermalPassiveCooling PoUnregisterPowerSettingCallback PsAcquireSiloHardReference PsAllocSiloContextSlot
        PsAllocateAffinityToken PsAssignImpersonationToken PsChargeProcessPoolQuota PsCreateSiloContext PsFreeSiloContextSlot
        PsGetJobServerSilo PsGetJobSilo PsGetPermanentSiloContext PsGetProcessExitStatus PsGetSiloContext PsGetThreadExitStatus
        PsImpersonateClient PsInsertPermanentSiloContext PsInsertSiloContext PsLookupThreadByThreadId PsMakeSiloContextPermanent
        PsRegisterSiloMonitor PsRemoveSiloContext PsReplaceSiloContext PsSetCreateProcessNotifyRoutineEx2 PsSetCreateThreadNotifyRoutineEx
        PsSetLoadImageNotifyRoutineEx PsSetSystemMultipleGroupAffinityThread PsStartSiloMonitor PsWrapApcWow64Thread
        RtlAbsoluteToSelfRelativeSD RtlAddAccessAllowedAceEx RtlAddAce RtlAllocateAndInitializeSid RtlAllocateAndInitializeSidEx
        RtlAppendStringToString RtlCheckRegistryKey RtlCmEncodeMemIoResource RtlCompressBuffer RtlCompressChunks
        RtlConvertSidToUnicodeString RtlCreateRegistryKey RtlCreateServiceSid RtlCreateSystemVolumeInformationFolder
        RtlCreateVirtualAccountSid RtlCustomCPToUnicodeN RtlDecompressBuffer RtlDecompressBufferEx RtlDecompressBufferEx2
        RtlDecompressChunks RtlDecompressFragment RtlDecompressFragmentEx RtlDeleteAce RtlDeleteRegistryValue RtlDescribeChunk
        RtlDosPathNameToNtPathName_U_WithStatus RtlFindClosestEncodableLength RtlGenerate8dot3Name RtlGenerateClass5Guid RtlGetAce
        RtlGetCompressionWorkSpaceSize RtlGetGroupSecurityDescriptor RtlGetOwnerSecurityDescriptor RtlGetPersistedStateLocation
        RtlGetSaclSecurityDescriptor RtlGetVersion RtlIdnToAscii RtlIdnToNameprepUnicode RtlIdnToUnicode RtlInitAnsiStringEx
        RtlInitUTF8StringEx RtlInitializeSidEx RtlIoEncodeMemIoResource RtlIsApiSetImplemented RtlIsNormalizedString
        RtlIsPartialPlaceholderFileHandle RtlIsPartialPlaceholderFileInfo RtlIsUntrustedObject RtlLocalTimeToSystemTime
        RtlMultiByteToUnicodeN RtlMultiByteToUnicodeSize RtlNormalizeString RtlOemStringToCountedUnicodeString RtlOemStringToUnicodeString
        RtlOemToUnicodeN RtlQueryPackageIdentity RtlQueryPackageIdentityEx RtlQueryRegistryValueWithFallback RtlQueryRegistryValues
        RtlReplaceSidInSd RtlReserveChunk RtlRunOnceBeginInitialize RtlRunOnceComplete RtlRunOnceExecuteOnce RtlSelfRelativeToAbsoluteSD
        RtlSetSystemGlobalData RtlUTF8StringToUnicodeString RtlUTF8ToUnicodeN RtlUnicodeStringToCountedOemString
        RtlUnicodeStringToUTF8String RtlUnicodeStringValidateEx RtlUnicodeToCustomCPN RtlUnicodeToMultiByteN RtlUnicodeToMultiByteSize
        RtlUnicodeToOemN RtlUnicodeToUTF8N RtlUpcaseUnicodeStringToCountedOemString RtlUpcaseUnicodeStringToOemString
        RtlUpcaseUnicodeToCustomCPN RtlUpcaseUnicodeToMultiByteN RtlUpcaseUnicodeToOemN RtlVerifyVersionInfo RtlWriteRegistryValue
        SeAdjustObjectSecurity SeAppendPrivileges SeAssignSecurity SeAssignSecurityEx SeCreateClientSecurity
        SeCreateClientSecurityFromSubjectContext SeDeassignSecurity SeEtwWriteKMCveEvent SeFilterToken SeImpersonateClientEx
        SeMarkLogonSessionForTerminationNotification SeMarkLogonSessionForTerminationNotificationEx SeQueryAuthenticationIdToken
        SeQueryInformationToken SeQuerySecurityDescriptorInfo SeQueryServerSiloToken SeQuerySessionIdToken SeQuerySessionIdTokenEx
        SeRegisterImageVerificationCallback SeRegisterLogonSessionTerminatedRoutine SeRegisterLogonSessionTerminatedRoutineEx
        SeReportSecurityEvent SeReportSecurityEventWithSubCategory SeSetAuditParameter SeSetSecurityDescriptorInfo
        SeSetSecurityDescriptorInfoEx SeTokenFromAccessInformation SeUnregisterLogonSessionTerminatedRoutine
        SeUnregisterLogonSessionTerminatedRoutineEx SecLookupAccountName SecLookupAccountSid SecLookupWellKnownSid SecMakeSPN SecMakeSPNEx
        SecMakeSPNEx2 TmCommitComplete TmCommitEnlistment TmCommitTransaction TmCreateEnlistment TmDereferenceEnlistmentKey
        TmEnableCallbacks TmInitializeTransactionManager TmPrePrepareComplete TmPrePrepareEnlistment TmPrepareComplete TmPrepareEnlistment
        TmPropagationComplete TmPropagationFailed TmReadOnlyEnlistment TmRecoverEnlistment TmRecoverResourceManager
        TmRecoverTransactionManager TmReferenceEnlistmentKey TmRenameTransactionManager TmRequestOutcomeEnlistment TmRollbackComplete
        TmRollbackEnlistment TmRollbackTransaction TmSinglePhaseReject WheaAddErrorSource WheaAddErrorSourceDeviceDriver
        WheaAddErrorSourceDeviceDriverV1 WheaAddHwErrorReportSectionDeviceDriver WheaConfigureErrorSource
        WheaHwErrorReportAbandonDeviceDriver WheaHwErrorReportSetSectionNameDeviceDriver WheaHwErrorReportSetSeverityDeviceDriver
        WheaHwErrorReportSubmitDeviceDriver WheaInitializeRecordHeader WheaRegisterInUsePageOfflineNotification
        WheaRemoveErrorSourceDeviceDriver WheaReportHwError WheaReportHwErrorDeviceDriver WheaUnconfigureErrorSource
        WheaUnregisterInUsePageOfflineNotification WmiQueryTraceInformation ZwAccessCheckAndAuditAlarm ZwAccessCheckByTypeAndAuditAlarm
        ZwAccessCheckByTypeResultListAndAuditAlarm ZwAccessCheckByTypeResultListAndAuditAlarmByHandle ZwAddBootEntry ZwAddDriverEntry
        ZwAdjustGroupsToken ZwAdjustPrivilegesToken ZwAlertThread ZwAllocateLocallyUniqueId ZwAllocateVirtualMemory
        ZwAllocateVirtualMemoryEx ZwAlpcAcceptConnectPort ZwAlpcCancelMessage ZwAlpcConnectPort ZwAlpcCreatePort ZwAlpcCreatePortSection
        ZwAlpcCreateResourceReserve ZwAlpcCreateSectionView ZwAlpcCreateSecurityContext ZwAlpcDeletePortSection ZwAlpcDeleteResourceReserve
        ZwAlpcDeleteSectionView ZwAlpcDeleteSecurityContext ZwAlpcDisconnectPort ZwAlpcQueryInformation ZwAlpcSendWaitReceivePort
        ZwAlpcSetInformation ZwAssignProcessToJobObject ZwCancelIoFile ZwCancelIoFileEx ZwCancelTimer ZwClearEvent ZwCloseObjectAuditAlarm
        ZwCommitComplete ZwCommitEnlistment ZwCommitRegistryTransaction ZwCommitTransaction ZwConnectPort ZwCreateDirectoryObject
        ZwCreateEnlistment ZwCreateIoCompletion ZwCreateJobObject ZwCreateKeyTransacted ZwCreateRegistryTransaction ZwCreateResourceManager
        ZwCreateSection ZwCreateSectionEx ZwCreateSymbolicLinkObject ZwCreateTimer ZwCreateTransaction ZwCreateTransactionManager
        ZwDeleteBootEntry ZwDeleteDriverEntry ZwDeleteObjectAuditAlarm ZwDeviceIoControlFile ZwDisplayString ZwDuplicateObject
        ZwDuplicateToken ZwEnumerateBootEntries ZwEnumerateDriverEntries ZwEnumerateTransactionObject ZwFilterToken ZwFlushBuffersFileEx
        ZwFlushInstructionCache ZwFlushVirtualMemory ZwFreeVirtualMemory ZwFsControlFile ZwGetNotificationResourceManager
        ZwImpersonateAnonymousToken ZwInitiatePowerAction ZwIsProcessInJob ZwLoadDriver ZwLoadKey ZwLoadKeyEx ZwLockFile
        ZwLockProductActivationKeys ZwMakeTemporaryObject ZwManagePartition ZwMapViewOfSection ZwModifyBootEntry ZwModifyDriverEntry
        ZwNotifyChangeKey ZwNotifyChangeMultipleKeys ZwNotifyChangeSession ZwOpenDirectoryObject ZwOpenEnlistment ZwOpenEvent
        ZwOpenJobObject ZwOpenKeyTransacted ZwOpenKeyTransactedEx ZwOpenObjectAuditAlarm ZwOpenProcessToken ZwOpenProcessTokenEx
        ZwOpenRegistryTransaction ZwOpenResourceManager ZwOpenSection ZwOpenSession ZwOpenSymbolicLinkObject ZwOpenThread ZwOpenThreadToken
        ZwOpenThreadTokenEx ZwOpenTimer ZwOpenTransaction ZwOpenTransactionManager ZwPowerInformation ZwPrePrepareComplete
        ZwPrePrepareEnlistment ZwPrepareComplete ZwPrepareEnlistment ZwPrivilegeCheck ZwPrivilegeObjectAuditAlarm
        ZwPrivilegedServiceAuditAlarm ZwPropagationComplete ZwPropagationFailed ZwPulseEvent ZwQueryBootEntryOrder ZwQueryBootOptions
        ZwQueryDefaultLocale ZwQueryDefaultUILanguage ZwQueryDirectoryFile ZwQueryDirectoryFileEx ZwQueryDirectoryObject
        ZwQueryDriverEntryOrder ZwQueryEaFile ZwQueryFullAttributesFile ZwQueryInformationByName ZwQueryInformationEnlistment
        ZwQueryInformationJobObject ZwQueryInformationResourceManager ZwQueryInformationThread ZwQueryInformationToken
        ZwQueryInformationTransaction ZwQueryInformationTransactionManager ZwQueryInstallUILanguage ZwQueryKey ZwQueryLicenseValue
        ZwQueryMultipleValueKey ZwQueryObject ZwQueryQuotaInformationFile ZwQuerySection ZwQuerySecurityAttributesToken
        ZwQuerySecurityObject ZwQuerySymbolicLinkObject ZwQuerySystemInformation ZwQuerySystemTime ZwQueryTimerResolution
        ZwQueryVirtualMemory ZwQueryVolumeInformationFile ZwReadOnlyEnlistment ZwRecoverEnlistment ZwRecoverResourceManager
        ZwRecoverTransactionManager ZwRegisterProtocolAddressInformation ZwRemoveIoCompletion ZwRemoveIoCompletionEx ZwRenameKey
        ZwRenameTransactionManager ZwReplaceKey ZwRequestPort ZwRequestWaitReplyPort ZwResetEvent ZwRestoreKey ZwRollbackComplete
        ZwRollbackEnlistment ZwRollbackRegistryTransaction ZwRollbackTransaction ZwRollforwardTransactionManager ZwSaveKey ZwSaveKeyEx
        ZwSecureConnectPort ZwSetBootEntryOrder ZwSetBootOptions ZwSetDefaultLocale ZwSetDefaultUILanguage ZwSetDriverEntryOrder ZwSetEaFile
        ZwSetInformationEnlistment ZwSetInformationJobObject ZwSetInformationKey ZwSetInformationObject ZwSetInformationProcess
        ZwSetInformationResourceManager ZwSetInformationThread ZwSetInformationToken ZwSetInformationTransaction
        ZwSetInformationTransactionManager ZwSetInformationVirtualMemory ZwSetQuotaInformationFile ZwSetSecurityObject
        ZwSetSystemInformation ZwSetSystemTime ZwSetTimer ZwSetTimerEx ZwSetVolumeInformationFile ZwSinglePhaseReject ZwTerminateJobObject
        ZwTraceEvent ZwTranslateFilePath ZwUnloadDriver ZwUnloadKey ZwUnloadKeyEx ZwUnlockFile ZwUnmapViewOfSection ZwWaitForMultipleObjects
        ZwYieldExecution;
    returns 0;
        AlpcGetHeaderSize AlpcGetMessageAttribute AlpcInitializeMessageAttribute CcAsyncCopyRead CcCanIWrite CcCoherencyFlushAndPurgeCache
        CcCopyRead CcCopyReadEx CcCopyWrite CcCopyWriteEx CcCopyWriteWontFlush CcDeferWrite CcFastCopyRead CcFastCopyWrite CcFlushCache
        CcGetDirtyPages CcGetFileObjectFromBcb CcGetFileObjectFromSectionPtrs CcGetFileObjectFromSectionPtrsRef CcGetFlushedValidData
        CcGetLsnForFileObject CcInitializeCacheMap CcInitializeCacheMapEx CcIsCacheManagerCallbackNeeded CcIsThereDirtyData
        CcIsThereDirtyDataEx CcMapData CcMdlRead CcMdlReadComplete CcMdlWriteAbort CcMdlWriteComplete CcPinMappedData CcPinRead
        CcPrepareMdlWrite CcPreparePinWrite CcPurgeCacheSection CcRemapBcb CcRepinBcb CcScheduleReadAhead CcScheduleReadAheadEx
        CcSetAdditionalCacheAttributes CcSetAdditionalCacheAttributesEx CcSetBcbOwnerPointer CcSetDirtyPageThreshold CcSetDirtyPinnedData
        CcSetFileSizes CcSetLogHandleForFile CcSetParallelFlushFile CcSetReadAheadGranularity CcTestControl CcUninitializeCacheMap
        CcUnpinData CcUnpinDataForThread CcUnpinRepinnedBcb CcZeroData CmCallbackReleaseKeyObjectIDEx CmGetBoundTransaction
         DbgBreakPointWithStatus DbgCommandString DbgLoadImageSymbols DbgPrintReturnControlC DbgPrompt
        DbgkLkmdRegisterCallback DbgkLkmdUnregisterCallback EmClientQueryRuleState EmClientRuleDeregisterNotification EmClientRuleEvaluate
        EmClientRuleRegisterNotification EmProviderDeregister EmProviderDeregisterEntry EmProviderRegister EmProviderRegisterEntry
        EmpProviderRegister EtwEnableTrace EtwEventEnabled EtwProviderEnabled EtwRegisterClassicProvider EtwSendTraceBuffer
        EtwWriteEndScenario EtwWriteStartScenario ExAcquireCacheAwarePushLockExclusive ExAcquireRundownProtectionCacheAware
        ExAcquireRundownProtectionCacheAwareEx ExAcquireSpinLockExclusiveAtDpcLevel ExAcquireSpinLockSharedAtDpcLevel
        ExAllocateCacheAwarePushLock ExAllocateCacheAwareRundownProtection ExAllocatePoolWithQuota ExAllocateTimer ExCancelTimer
        ExCleanupRundownProtectionCacheAware ExDeleteTimer ExDestroyPool ExDisableResourceBoostLite
        ExEnterCriticalRegionAndAcquireFastMutexUnsafe ExEnterCriticalRegionAndAcquireSharedWaitForExclusive
        ExEnterPriorityRegionAndAcquireResourceExclusive ExEnterPriorityRegionAndAcquireResourceShared ExEnumHandleTable ExFetchLicenseData
        ExFlushLookasideListEx ExFreeCacheAwarePushLock ExFreeCacheAwareRundownProtection ExFreePool2 ExGetCurrentProcessorCounts
        ExGetCurrentProcessorCpuUsage ExGetFirmwareType ExGetLicenseTamperState ExInitializeRundownProtectionCacheAware
        ExInitializeRundownProtectionCacheAwareEx ExInterlockedAddLargeInteger ExInterlockedAddUlong ExInterlockedInsertHeadList
        ExInterlockedInsertTailList ExInterlockedPopEntryList ExInterlockedPushEntryList ExInterlockedRemoveHeadList
        ExIsManufacturingModeEnabled ExIsProcessorFeaturePresent ExIsSoftBoot ExNotifyCallback ExQueryAttributeInformation ExQueryDepthSList
        ExQueryPoolBlockSize ExQueryTimerResolution ExRaiseException ExRaiseHardError ExReInitializeRundownProtectionCacheAware
        ExRegisterAttributeInformationCallback ExRegisterCallback ExRegisterExtension ExReleaseCacheAwarePushLockExclusive
        ExReleaseFastMutexUnsafeAndLeaveCriticalRegion ExReleaseResourceAndLeavePriorityRegion ExReleaseRundownProtectionCacheAware
        ExReleaseRundownProtectionCacheAwareEx ExReleaseSpinLockExclusiveFromDpcLevel ExReleaseSpinLockSharedFromDpcLevel
        ExRundownCompletedCacheAware ExSecurePoolValidate ExSetLicenseTamperState ExSetResourceOwnerPointer ExSetResourceOwnerPointerEx
        ExSetTimer ExSetTimerResolution ExSizeOfRundownProtectionCacheAware ExSystemExceptionFilter ExTryAcquireSpinLockExclusiveAtDpcLevel
        ExTryAcquireSpinLockSharedAtDpcLevel ExTryConvertSharedSpinLockExclusive ExUnregisterAttributeInformationCallback
        ExUnregisterCallback ExUnregisterExtension ExUpdateLicenseData ExVerifySuite ExWaitForRundownProtectionReleaseCacheAware
        ExfAcquirePushLockExclusive ExfAcquirePushLockShared ExfReleasePushLock ExfReleasePushLockExclusive ExfReleasePushLockShared
        ExfTryAcquirePushLockShared ExfTryToWakePushLock ExfUnblockPushLock ExpInterlockedFlushSList ExpInterlockedPopEntrySList
        ExpInterlockedPushEntrySList FltAcknowledgeEcp FltAcquirePushLockExclusive FltAcquirePushLockShared FltAllocateFileLock FltCancelIo
        FltCheckLockForReadAccess FltCheckLockForWriteAccess FltCheckOplock FltCheckOplockEx FltCurrentBatchOplock FltCurrentOplock
        FltCurrentOplockH FltDeleteExtraCreateParameterLookasideList FltFastIoMdlRead FltFastIoMdlReadComplete FltFastIoMdlWriteComplete
        FltFastIoPrepareMdlWrite FltFreeExtraCreateParameter FltFreeExtraCreateParameterList FltFreeFileLock FltFreeOpenReparseList
        FltGetIoAttributionHandleFromCallbackData FltGetIoPriorityHint FltGetIoPriorityHintFromCallbackData
        FltGetIoPriorityHintFromFileObject FltGetIoPriorityHintFromThread FltGetNewSystemBufferAddress FltGetSwappedBufferMdlAddress
        FltInitExtraCreateParameterLookasideList FltInitializeFileLock FltInitializeOplock FltIsEcpAcknowledged FltIsEcpFromUserMode
        FltIsFltMgrVolumeDeviceObject FltNotifyFilterChangeDirectory FltOplockBreakH FltOplockBreakToNone FltOplockBreakToNoneEx
        FltOplockFsctrl FltOplockFsctrlEx FltOplockIsFastIoPossible FltOplockIsSharedRequest FltOplockKeysEqual FltPrepareToReuseEcp
        FltProcessFileLock FltReissueSynchronousIo FltReleaseContextsEx FltReleasePushLock FltRemoveOpenReparseEntry
        FltRetainSwappedBufferMdlAddress FltRetrieveFileInfoOnCreateCompletion FltUninitializeFileLock FltUninitializeOplock
        FsRtlAcknowledgeEcp FsRtlAcquireFileExclusive FsRtlAddBaseMcbEntry FsRtlAddLargeMcbEntry FsRtlAddMcbEntry FsRtlAddToTunnelCache
        FsRtlAddToTunnelCacheEx FsRtlAllocateAePushLock FsRtlAllocateFileLock FsRtlAllocatePool FsRtlAllocatePoolWithQuota
        FsRtlAllocatePoolWithQuotaTag FsRtlAllocatePoolWithTag FsRtlAllocateResource FsRtlAreThereCurrentOrInProgressFileLocks
        FsRtlAreThereWaitingFileLocks FsRtlAreVolumeStartupApplicationsComplete FsRtlCheckLockForOplockRequest FsRtlCheckLockForReadAccess
        FsRtlCheckLockForWriteAccess FsRtlCopyRead FsRtlCopyWrite FsRtlCurrentBatchOplock FsRtlCurrentOplock FsRtlCurrentOplockH
        FsRtlDeleteExtraCreateParameterLookasideList FsRtlDeleteKeyFromTunnelCache FsRtlDeleteTunnelCache FsRtlDeregisterUncProvider
        FsRtlDismountComplete FsRtlDissectDbcs FsRtlDissectName FsRtlDoesDbcsContainWildCards FsRtlFastCheckLockForRead
        FsRtlFastCheckLockForWrite FsRtlFindInTunnelCache FsRtlFindInTunnelCacheEx FsRtlFreeAePushLock FsRtlFreeExtraCreateParameter
        FsRtlFreeExtraCreateParameterList FsRtlFreeFileLock FsRtlGetCurrentProcessLoaderList FsRtlGetNextBaseMcbEntry FsRtlGetNextFileLock
        FsRtlGetNextLargeMcbEntry FsRtlGetNextMcbEntry FsRtlIncrementCcFastMdlReadWait FsRtlIncrementCcFastReadNoWait
        FsRtlIncrementCcFastReadNotPossible FsRtlIncrementCcFastReadResourceMiss FsRtlIncrementCcFastReadWait
        FsRtlInitExtraCreateParameterLookasideList FsRtlInitializeBaseMcb FsRtlInitializeBaseMcbEx FsRtlInitializeExtraCreateParameter
        FsRtlInitializeFileLock FsRtlInitializeLargeMcb FsRtlInitializeMcb FsRtlInitializeOplock FsRtlInitializeTunnelCache
        FsRtlIs32BitProcess FsRtlIsDaxVolume FsRtlIsDbcsInExpression FsRtlIsEcpAcknowledged FsRtlIsEcpFromUserMode FsRtlIsExtentDangling
        FsRtlIsFatDbcsLegal FsRtlIsHpfsDbcsLegal FsRtlIsMobileOS FsRtlIsNameInUnUpcasedExpression
        FsRtlIsNonEmptyDirectoryReparsePointAllowed FsRtlIsNtstatusExpected FsRtlIsPagingFile FsRtlIsSystemPagingFile
        FsRtlIsTotalDeviceFailure FsRtlLookupBaseMcbEntry FsRtlLookupLargeMcbEntry FsRtlLookupLastBaseMcbEntry
        FsRtlLookupLastBaseMcbEntryAndIndex FsRtlLookupLastLargeMcbEntry FsRtlLookupLastLargeMcbEntryAndIndex FsRtlLookupLastMcbEntry
        FsRtlLookupMcbEntry FsRtlLookupPerFileContext FsRtlLookupPerFileObjectContext FsRtlLookupPerStreamContextInternal FsRtlMdlRead
        FsRtlMdlReadComplete FsRtlMdlReadCompleteDev FsRtlMdlReadDev FsRtlMdlWriteComplete FsRtlMdlWriteCompleteDev
        FsRtlNotifyChangeDirectory FsRtlNotifyCleanup FsRtlNotifyCleanupAll FsRtlNotifyFilterChangeDirectory FsRtlNotifyFilterReportChange
        FsRtlNotifyFullChangeDirectory FsRtlNotifyFullReportChange FsRtlNotifyInitializeSync FsRtlNotifyReportChange
        FsRtlNotifyUninitializeSync FsRtlNumberOfRunsInBaseMcb FsRtlNumberOfRunsInLargeMcb FsRtlNumberOfRunsInMcb
        FsRtlOplockGetAnyBreakOwnerProcess FsRtlOplockIsFastIoPossible FsRtlOplockIsSharedRequest FsRtlOplockKeysEqual
        FsRtlPostPagingFileStackOverflow FsRtlPostStackOverflow FsRtlPrepareMdlWrite FsRtlPrepareMdlWriteDev FsRtlPrepareToReuseEcp
        FsRtlPrivateLock FsRtlQueryMaximumVirtualDiskNestingLevel FsRtlRegisterFltMgrCalls FsRtlRegisterMupCalls FsRtlReleaseFile
        FsRtlRemoveBaseMcbEntry FsRtlRemoveLargeMcbEntry FsRtlRemoveMcbEntry FsRtlRemovePerFileContext FsRtlRemovePerFileObjectContext
        FsRtlRemovePerStreamContext FsRtlResetBaseMcb FsRtlResetLargeMcb FsRtlSplitBaseMcb FsRtlSplitLargeMcb FsRtlSyncVolumes
        FsRtlTeardownPerFileContexts FsRtlTeardownPerStreamContexts FsRtlTruncateBaseMcb FsRtlTruncateLargeMcb FsRtlTruncateMcb
        FsRtlUninitializeBaseMcb FsRtlUninitializeFileLock FsRtlUninitializeLargeMcb FsRtlUninitializeMcb FsRtlUninitializeOplock
        FsRtlUpdateDiskCounters HalAcquireDisplayOwnership HalAdjustResourceList HalAllProcessorsStarted HalAllocateCommonBuffer
        HalAllocateCrashDumpRegisters HalBugCheckSystem HalCalibratePerformanceCounter HalCallBios HalClearSoftwareInterrupt
        HalConvertDeviceIdtToIrql HalDisableInterrupt HalDisableSystemInterrupt HalDisplayString HalEnableInterrupt HalEnableSystemInterrupt
        HalEnumerateEnvironmentVariablesEx HalEnumerateProcessors HalExamineMBR HalFlushCommonBuffer HalFreeCommonBuffer HalGetAdapter
        HalGetBusData HalGetBusDataByOffset HalGetEnvironmentVariable HalGetEnvironmentVariableEx HalGetInterruptTargetInformation
        HalGetInterruptVector HalGetMemoryCachingRequirements HalGetMessageRoutingInfo HalGetProcessorIdByNtNumber HalGetVectorInput
        HalHandleMcheck HalHandleNMI HalInitSystem HalInitializeBios HalInitializeOnResume HalInitializeProcessor HalIsHyperThreadingEnabled
        HalMakeBeep HalMcUpdateReadPCIConfig HalProcessorIdle HalQueryDisplayParameters HalQueryEnvironmentVariableInfoEx
        HalQueryMaximumProcessorCount HalQueryRealTimeClock HalReadDmaCounter HalRegisterDynamicProcessor HalRegisterErrataCallbacks
        HalReportResourceUsage HalRequestClockInterrupt HalRequestDeferredRecoveryServiceInterrupt HalRequestIpi HalRequestSoftwareInterrupt
        HalReturnToFirmware HalSendNMI HalSendSoftwareInterrupt HalSetBusData HalSetBusDataByOffset HalSetDisplayParameters
        HalSetEnvironmentVariable HalSetEnvironmentVariableEx HalSetProfileInterval HalSetRealTimeClock HalSetTimeIncrement
        HalStartDynamicProcessor HalStartNextProcessor HalStartProfileInterrupt HalStopProfileInterrupt HalSystemVectorDispatchEntry
        HalTranslateBusAddress HvlQueryConnection InbvAcquireDisplayOwnership InbvCheckDisplayOwnership InbvDisplayString
        InbvEnableBootDriver InbvEnableDisplayString InbvInstallDisplayStringFilter InbvIsBootDriverInstalled InbvNotifyDisplayOwnershipLost
        InbvResetDisplay InbvSetScrollRegion InbvSetTextColor InbvSolidColorFill IoAcquireCancelSpinLock IoAcquireVpbSpinLock
        IoAdjustStackSizeForRedirection IoAllocateController IoAllocateErrorLogEntry IoAllocateIrp IoAllocateIrpEx
        IoAllocateMiniCompletionPacket IoAssignDriveLetters IoAttachDeviceToDeviceStack IoBuildAsynchronousFsdRequest
        IoBuildDeviceIoControlRequest IoBuildPartialMdl IoBuildSynchronousFsdRequest IoCallDriver IoCancelFileOpen IoCancelIrp IoCleanupIrp
        IoClearActivityIdThread IoClearDependency IoClearIrpExtraCreateParameter IoCompleteRequest IoCreateArcName IoCreateController
        IoCreateDriver IoCreateNotificationEvent IoCreateStreamFileObject IoCreateStreamFileObjectEx IoCreateStreamFileObjectLite
        IoCreateSynchronizationEvent IoCsqInsertIrp IoCsqRemoveIrp IoCsqRemoveNextIrp IoDeleteAllDependencyRelations IoDeleteController
        IoDeleteDriver IoDetachDevice IoDisconnectInterrupt IoDisconnectInterruptEx IoDuplicateDependency IoEnqueueIrp
        IoFastQueryNetworkAttributes IoFlushAdapterBuffers IoForwardAndCatchIrp IoForwardIrpSynchronously IoFreeAdapterChannel
        IoFreeController IoFreeErrorLogEntry IoFreeIrp IoFreeMapRegisters IoFreeMiniCompletionPacket IoGetActivityIdThread
        IoGetAttachedDevice IoGetAttachedDeviceReference IoGetBaseFileSystemDeviceObject IoGetConfigurationInformation
        IoGetDeviceAttachmentBaseRef IoGetDeviceToVerify IoGetDmaAdapter IoGetDriverObjectExtension IoGetFileObjectGenericMapping
        IoGetInitialStack IoGetInitiatorProcess IoGetIoPriorityHint IoGetLowerDeviceObject IoGetOplockKeyContext IoGetOplockKeyContextEx
        IoGetPagingIoPriority IoGetRelatedDeviceObject IoGetRequestorProcess IoGetRequestorProcessId IoGetSfioStreamIdentifier IoGetSilo
        IoGetSiloParameters IoGetStackLimits IoGetSymlinkSupportInformation IoInitializeIrp IoInitializeIrpEx IoInitializeRemoveLockEx
        IoInitializeWorkItem IoInvalidateDeviceRelations IoInvalidateDeviceState IoIrpHasFsTrackOffsetExtensionType
        IoIsFileObjectIgnoringSharing IoIsFileOriginRemote IoIsInitiator32bitProcess IoIsOperationSynchronous IoIsSystemThread
        IoIsValidIrpStatus IoIsValidNameGraftingBuffer IoIsWdmVersionAvailable IoMakeAssociatedIrp IoMakeAssociatedIrpEx IoMapTransfer
        IoPnPDeliverServicePowerNotification IoQueueThreadIrp IoRaiseHardError IoRaiseInformationalHardError IoRegisterBootDriverCallback
        IoRegisterBootDriverReinitialization IoRegisterDriverReinitialization IoRegisterFileSystem IoRegisterPriorityCallback
        IoReleaseCancelSpinLock IoReleaseRemoveLockAndWaitEx IoReleaseRemoveLockEx IoReleaseVpbSpinLock IoRemoveLinkShareAccess
        IoRemoveLinkShareAccessEx IoRemoveShareAccess IoReportHalResourceUsage IoReportInterruptActive IoReportInterruptInactive
        IoRequestDeviceEject IoReuseIrp IoSetActivityIdThread IoSetDependency IoSetDeviceToVerify IoSetHardErrorOrVerifyDevice
        IoSetIoCompletion IoSetIoCompletionEx IoSetIoPriorityHintIntoFileObject IoSetIoPriorityHintIntoThread IoSetLinkShareAccess
        IoSetMasterIrpStatus IoSetOplockKeyContext IoSetShareAccess IoSetShareAccessEx IoSetStartIoAttributes IoSetThreadHardErrorMode
        IoSizeOfIrpEx IoSizeofWorkItem IoStartNextPacket IoStartNextPacketByKey IoStartPacket IoStartTimer IoStopTimer
        IoSynchronousInvalidateDeviceRelations IoTransferActivityId IoTranslateBusAddress IoTryQueueWorkItem IoUninitializeWorkItem
        IoUnregisterBootDriverCallback IoUnregisterContainerNotification IoUnregisterFileSystem IoUnregisterFsRegistrationChange
        IoUnregisterPriorityCallback IoUnregisterShutdownNotification IoUpdateLinkShareAccess IoUpdateLinkShareAccessEx IoUpdateShareAccess
        IoWMIDeviceObjectToProviderId IoWithinStackLimits IoWriteErrorLogEntry KdPollBreakIn KdPowerTransition KdRefreshDebuggerNotPresent
        KdSystemDebugControl KeAcquireInStackQueuedSpinLockForDpc KeAcquireInStackQueuedSpinLockRaiseToSynch KeAcquireInterruptSpinLock
        KeAcquireQueuedSpinLock KeAcquireQueuedSpinLockRaiseToSynch KeAcquireSpinLockForDpc KeAcquireSpinLockRaiseToSynch
        KeAddGroupAffinityEx KeAddProcessorAffinityEx KeAddProcessorGroupAffinity KeAddSystemServiceTable KeAlertThread
        KeAllocateCalloutStack KeAllocateCalloutStackEx KeAndAffinityEx KeAndGroupAffinityEx KeAttachProcess KeCapturePersistentThreadState
        KeCheckProcessorAffinityEx KeCheckProcessorGroupAffinity KeComplementAffinityEx KeConnectInterrupt KeCopyAffinityEx
        KeCountSetBitsAffinityEx KeCountSetBitsGroupAffinity KeDeregisterBugCheckCallback KeDeregisterBugCheckReasonCallback
        KeDeregisterProcessorChangeCallback KeDetachProcess KeDisconnectInterrupt KeEnterKernelDebugger KeEnumerateNextProcessor
        KeFindConfigurationEntry KeFindConfigurationNextEntry KeFindFirstSetLeftAffinityEx KeFindFirstSetLeftGroupAffinity
        KeFindFirstSetRightGroupAffinity KeFirstGroupAffinityEx KeFlushEntireTb KeFlushIoBuffers KeFlushWriteBuffer KeFreeCalloutStack
        KeGenericCallDpc KeGetCurrentNodeNumber KeGetCurrentProcessorNumberEx KeGetCurrentThread KeGetProcessorIndexFromNumber
        KeGetRecommendedSharedDataAlignment KeGetXSaveFeatureFlags KeInitializeAffinityEx KeInitializeApc KeInitializeDeviceQueue
        KeInitializeEnumerationContext KeInitializeEnumerationContextFromGroup KeInitializeInterrupt KeInitializeMutant KeInitializeQueue
        KeInitializeThreadedDpc KeInsertByKeyDeviceQueue KeInsertDeviceQueue KeInsertHeadQueue KeInsertQueue KeInsertQueueApc
        KeInterlockedClearProcessorAffinityEx KeInterlockedSetProcessorAffinityEx KeInvalidateAllCaches KeInvalidateRangeAllCaches
        KeIpiGenericCall KeIsAttachedProcess KeIsEmptyAffinityEx KeIsEqualAffinityEx KeIsExecutingDpc KeIsSingleGroupAffinityEx
        KeIsSubsetAffinityEx KeIsWaitListEmpty KeOrAffinityEx KeProcessorGroupAffinity KeProfileInterruptWithSource KeQueryActiveGroupCount
        KeQueryActiveProcessorAffinity KeQueryActiveProcessorCount KeQueryActiveProcessorCountEx KeQueryActiveProcessors
        KeQueryGroupAffinity KeQueryGroupAffinityEx KeQueryHighestNodeNumber KeQueryMaximumGroupCount KeQueryMaximumProcessorCount
        KeQueryMaximumProcessorCountEx KeQueryMultiThreadProcessorSet KeQueryNodeActiveAffinity KeQueryNodeActiveProcessorCount
        KeQueryNodeMaximumProcessorCount KeQueryPrcbAddress KeQueryPriorityThread KeQueryRuntimeThread KeQueryTotalCycleTimeThread
        KeQueryUnbiasedInterruptTimePrecise KeRaiseUserException KeReadStateMutant KeReadStateQueue KeRegisterBoundCallback
        KeRegisterBugCheckCallback KeRegisterBugCheckReasonCallback KeRegisterNmiCallback KeRegisterProcessorChangeCallback
        KeReleaseInStackQueuedSpinLockForDpc KeReleaseInterruptSpinLock KeReleaseMutant KeReleaseQueuedSpinLock KeReleaseSpinLockForDpc
        KeRemoveByKeyDeviceQueue KeRemoveByKeyDeviceQueueIfBusy KeRemoveDeviceQueue KeRemoveEntryDeviceQueue KeRemoveGroupAffinityEx
        KeRemoveProcessorAffinityEx KeRemoveProcessorGroupAffinity KeRemoveQueue KeRemoveQueueDpcEx KeRemoveQueueEx
        KeRemoveSystemServiceTable KeRevertToUserAffinityThread KeRevertToUserAffinityThreadEx KeRevertToUserGroupAffinityThread
        KeRundownQueue KeSaveStateForHibernate KeSetActualBasePriorityThread KeSetAffinityThread KeSetBasePriorityThread
        KeSetCoalescableTimer KeSetDmaIoCoherency KeSetEventBoostPriority KeSetIdealProcessorThread KeSetImportanceDpc
        KeSetKernelStackSwapEnable KeSetPriorityThread KeSetProfileIrql KeSetSystemAffinityThread KeSetSystemAffinityThreadEx
        KeSetSystemGroupAffinityThread KeSetTargetProcessorDpc KeSetTimeIncrement KeShouldYieldProcessor KeSignalCallDpcDone
        KeSignalCallDpcSynchronize KeStackAttachProcess KeStallExecutionProcessor KeStartDynamicProcessor KeSubtractAffinityEx
        KeSynchronizeExecution KeTerminateThread KeTestAlertThread KeTestSpinLock KeTryToAcquireQueuedSpinLock
        KeTryToAcquireQueuedSpinLockRaiseToSynch KeUnstackDetachProcess KeUpdateRunTime KeUpdateSystemTime KeUserModeCallback
        KeWaitForMutexObject LpcReplyWaitReplyPort LpcRequestPort LpcRequestWaitReplyPort LpcRequestWaitReplyPortEx LpcSendWaitReceivePort
        LsaCallAuthenticationPackage LsaDeregisterLogonProcess LsaFreeReturnBuffer LsaLogonUser LsaLookupAuthenticationPackage
        LsaRegisterLogonProcess MmAdjustWorkingSetSize MmAllocateContiguousMemory MmAllocateContiguousMemorySpecifyCache
        MmAllocateContiguousMemorySpecifyCacheNode MmAllocateContiguousNodeMemory MmAllocateMappingAddress MmAllocateMappingAddressEx
        MmAllocateNodePagesForMdlEx MmAllocateNonCachedMemory MmAllocatePagesForMdl MmAllocatePagesForMdlEx
        MmAllocatePartitionNodePagesForMdlEx MmAreMdlPagesCached MmCanFileBeTruncated MmCommitSessionMappedView MmCopyVirtualMemory
        MmCreateMdl MmCreateSection MmDisableModifiedWriteOfSection MmDoesFileHaveUserWritableReferences MmFlushImageSection
        MmForceSectionClosed MmForceSectionClosedEx MmFreeContiguousMemory MmFreeContiguousMemorySpecifyCache MmFreeMappingAddress
        MmFreeNonCachedMemory MmFreePagesFromMdl MmFreePagesFromMdlEx MmGetMaximumFileSectionSize MmGetPhysicalAddress
        MmGetPhysicalMemoryRanges MmGetPhysicalMemoryRangesEx MmGetPhysicalMemoryRangesEx2 MmGetVirtualForPhysical MmGrowKernelStack
        MmIsDriverSuspectForVerifier MmIsDriverVerifying MmIsDriverVerifyingByAddress MmIsIoSpaceActive MmIsNonPagedSystemAddressValid
        MmIsRecursiveIoFault MmIsThisAnNtAsSystem MmLockPagableDataSection MmLockPagableImageSection MmLockPagableSectionByHandle
        MmMapIoSpace MmMapIoSpaceEx MmMapLockedPages MmMapLockedPagesWithReservedMapping MmMapMemoryDumpMdl MmMapVideoDisplay
        MmMapViewOfSection MmMarkPhysicalMemoryAsBad MmMarkPhysicalMemoryAsGood MmMdlPageContentsState MmMdlPagesAreZero MmPageEntireDriver
        MmProbeAndLockProcessPages MmProbeAndLockSelectedPages MmQuerySystemSize MmResetDriverPaging MmSecureVirtualMemory
        MmSecureVirtualMemoryEx MmSetAddressRangeModified MmSetBankedSection MmTrimAllSystemPagableMemory MmUnlockPagableImageSection
        MmUnmapIoSpace MmUnmapReservedMapping MmUnmapVideoDisplay MmUnmapViewOfSection MmUnsecureVirtualMemory ObAssignSecurity
        ObCheckCreateObjectAccess ObCheckObjectAccess ObCreateObject ObCreateObjectType ObDeleteCapturedInsertInfo
        ObDereferenceObjectDeferDelete ObDereferenceObjectDeferDeleteWithTag ObDereferenceSecurityDescriptor ObFindHandleForObject
        ObGetFilterVersion ObGetObjectType ObIsDosDeviceLocallyMapped ObIsKernelHandle ObLogSecurityDescriptor ObMakeTemporaryObject
        ObOpenObjectByName ObQueryNameInfo ObReferenceObjectByName ObReferenceObjectSafe ObReferenceObjectSafeWithTag
        ObReferenceSecurityDescriptor ObReleaseObjectSecurity ObSetHandleAttributes ObSetSecurityDescriptorInfo ObSetSecurityObjectByPointer
        ObUnRegisterCallbacks ObfDereferenceObjectWithTag ObfReferenceObjectWithTag PcwCloseInstance PcwUnregister PfFileInfoNotify
        PfxFindPrefix PfxInitialize PfxInsertPrefix PfxRemovePrefix PoCancelDeviceNotify PoDeletePowerRequest PoDeleteThermalRequest
        PoDisableSleepStates PoEndDeviceBusy PoFxActivateComponent PoFxCompleteDevicePowerNotRequired PoFxCompleteDirectedPowerDown
        PoFxCompleteIdleCondition PoFxCompleteIdleState PoFxIdleComponent PoFxIssueComponentPerfStateChange
        PoFxIssueComponentPerfStateChangeMultiple PoFxNotifySurprisePowerOn PoFxRegisterDripsWatchdogCallback PoFxReportDevicePoweredOn
        PoFxSetComponentLatency PoFxSetComponentResidency PoFxSetComponentWake PoFxSetDeviceIdleTimeout PoFxStartDevicePowerManagement
        PoFxUnregisterDevice PoGetSystemWake PoGetThermalRequestSupport PoQueryWatchdogTime PoReenableSleepStates
        PoRegisterDeviceForIdleDetection PoRegisterDeviceNotify PoRegisterSystemState PoRequestShutdownEvent PoSetDeviceBusyEx
        PoSetFixedWakeSource PoSetHiberRange PoSetPowerState PoSetSystemState PoSetSystemWake PoSetSystemWakeDevice PoShutdownBugCheck
        PoStartDeviceBusy PoStartNextPowerIrp PoUnregisterSystemState PoUserShutdownInitiated PsAcquireProcessExitSynchronization
        PsAttachSiloToCurrentThread PsChargePoolQuota PsChargeProcessNonPagedPoolQuota PsChargeProcessPagedPoolQuota PsCreateSystemProcess
        PsDereferenceImpersonationToken PsDereferencePrimaryToken PsDereferenceSiloContext PsDetachSiloFromCurrentThread
        PsDisableImpersonation PsEnterPriorityRegion PsEstablishWin32Callouts PsFreeAffinityToken PsGetContextThread PsGetCurrentProcess
        PsGetCurrentProcessSessionId PsGetCurrentProcessWin32Process PsGetCurrentProcessWow64Process PsGetCurrentServerSilo
        PsGetCurrentServerSiloName PsGetCurrentSilo PsGetCurrentThread PsGetCurrentThreadPreviousMode PsGetCurrentThreadProcess
        PsGetCurrentThreadProcessId PsGetCurrentThreadStackBase PsGetCurrentThreadStackLimit PsGetCurrentThreadTeb
        PsGetCurrentThreadWin32Thread PsGetCurrentThreadWin32ThreadAndEnterCriticalRegion PsGetEffectiveServerSilo PsGetHostSilo
        PsGetJobLock PsGetJobSessionId PsGetJobUIRestrictionsClass PsGetParentSilo PsGetProcessCreateTimeQuadPart PsGetProcessDebugPort
        PsGetProcessExitProcessCalled PsGetProcessExitTime PsGetProcessImageFileName PsGetProcessJob PsGetProcessPeb
        PsGetProcessPriorityClass PsGetProcessSectionBaseAddress PsGetProcessSecurityPort PsGetProcessSessionId PsGetProcessSessionIdEx
        PsGetProcessStartKey PsGetProcessWin32Process PsGetProcessWin32WindowStation PsGetProcessWow64Process
        PsGetServerSiloServiceSessionId PsGetSiloContainerId PsGetSiloMonitorContextSlot PsGetThreadCreateTime PsGetThreadFreezeCount
        PsGetThreadHardErrorsAreDisabled PsGetThreadProperty PsGetThreadServerSilo PsGetThreadSessionId PsGetThreadTeb
        PsGetThreadWin32Thread PsGetVersion PsIsCurrentThreadInServerSilo PsIsCurrentThreadPrefetching PsIsDiskCountersEnabled PsIsHostSilo
        PsIsProcessBeingDebugged PsIsProtectedProcess PsIsSystemProcess PsIsThreadImpersonating PsIsThreadTerminating PsLeavePriorityRegion
        PsLookupProcessThreadByCid PsQueryProcessExceptionFlags PsQueryTotalCycleTimeProcess PsReferenceImpersonationToken
        PsReferencePrimaryToken PsReferenceProcessFilePointer PsReferenceSiloContext PsReleaseProcessExitSynchronization
        PsReleaseSiloHardReference PsRestoreImpersonation PsResumeProcess PsReturnPoolQuota PsReturnProcessNonPagedPoolQuota
        PsReturnProcessPagedPoolQuota PsRevertThreadToSelf PsRevertToSelf PsRevertToUserMultipleGroupAffinityThread PsSetContextThread
        PsSetCurrentThreadPrefetching PsSetJobUIRestrictionsClass PsSetLegoNotifyRoutine PsSetProcessPriorityByClass
        PsSetProcessPriorityClass PsSetProcessSecurityPort PsSetProcessWin32Process PsSetProcessWindowStation
        PsSetThreadHardErrorsAreDisabled PsSetThreadWin32Thread PsSuspendProcess PsTerminateServerSilo PsUnregisterSiloMonitor
        PsUpdateDiskCounters RtlAddAtomToAtomTable RtlAddRange RtlAllocateHeap RtlAnsiCharToUnicodeChar RtlAnsiStringToUnicodeSize
        RtlAppendAsciizToString RtlAreAllAccessesGranted RtlAreAnyAccessesGranted RtlAreBitsClear RtlAreBitsSet RtlAssert RtlCaptureContext
        RtlCaptureStackBackTrace RtlClearAllBits RtlClearBit RtlClearBits RtlCmDecodeMemIoResource RtlCompareAltitudes RtlCompareMemoryUlong
        RtlCompareUnicodeStrings RtlComputeCrc32 RtlContractHashTable RtlCopyBitMap RtlCopyLuid RtlCopyLuidAndAttributesArray RtlCopyMemory
        RtlCopyMemoryNonTemporal RtlCopyRangeList RtlCopySidAndAttributesArray RtlCreateAtomTable RtlCreateHashTable RtlCreateHashTableEx
        RtlCreateHeap RtlDelete RtlDeleteAtomFromAtomTable
        RtlDeleteElementGenericTableAvlEx RtlDeleteHashTable RtlDeleteNoSplay RtlDeleteOwnersRanges RtlDeleteRange RtlDestroyAtomTable
        RtlDestroyHeap RtlEmptyAtomTable RtlEndEnumerationHashTable RtlEndStrongEnumerationHashTable RtlEndWeakEnumerationHashTable
        RtlEnumerateEntryHashTable RtlEnumerateGenericTableLikeADirectory
          RtlEqualLuid RtlEqualPrefixSid
        RtlEthernetAddressToStringA RtlEthernetAddressToStringW RtlEthernetStringToAddressA RtlEthernetStringToAddressW RtlExpandHashTable
        RtlExtractBitMap RtlFillMemory RtlFindAceByType RtlFindClearBits RtlFindClearBitsAndSet RtlFindClearRuns RtlFindFirstRunClear
        RtlFindLastBackwardRunClear RtlFindLeastSignificantBit RtlFindLongestRunClear RtlFindMessage RtlFindMostSignificantBit
        RtlFindNextForwardRunClear RtlFindRange RtlFindSetBits RtlFindSetBitsAndClear RtlFindUnicodePrefix RtlFormatCurrentUserKeyPath
        RtlFormatMessage RtlFreeHeap RtlFreeOemString RtlFreeRangeList RtlFreeSid RtlFreeUTF8String RtlGetActiveConsoleId
        RtlGetCallersAddress RtlGetConsoleSessionForegroundProcessId RtlGetDefaultCodePage
         RtlGetEnabledExtendedFeatures RtlGetFirstRange RtlGetIntegerAtom RtlGetLastRange
        RtlGetNextEntryHashTable RtlGetNextRange RtlGetNtGlobalFlags RtlGetNtProductType RtlGetNtSystemRoot RtlGetProductInfo
        RtlGetSetBootStatusData RtlGetSuiteMask RtlGetThreadLangIdByIndex RtlIdentifierAuthoritySid RtlImageDirectoryEntryToData
        RtlImageNtHeader RtlInitCodePageTable RtlInitEnumerationHashTable RtlInitStrongEnumerationHashTable RtlInitUTF8String
        RtlInitWeakEnumerationHashTable RtlInitializeBitMap RtlInitializeRangeList
        RtlInitializeUnicodePrefix
         RtlInsertEntryHashTable RtlInsertUnicodePrefix RtlIntegerToChar RtlIntegerToUnicode
        RtlInvertRangeList RtlInvertRangeListEx RtlIoDecodeMemIoResource RtlIpv4AddressToStringA RtlIpv4AddressToStringExA
        RtlIpv4AddressToStringW RtlIpv4StringToAddressA RtlIpv4StringToAddressExA RtlIpv4StringToAddressExW RtlIpv4StringToAddressW
        RtlIpv6AddressToStringA RtlIpv6AddressToStringExA RtlIpv6AddressToStringW RtlIpv6StringToAddressA RtlIpv6StringToAddressExA
        RtlIpv6StringToAddressExW RtlIpv6StringToAddressW RtlIsCloudFilesPlaceholder RtlIsDosDeviceName_U
         RtlIsMultiSessionSku RtlIsMultiUsersInSessionSku
        RtlIsNonEmptyDirectoryReparsePointAllowed RtlIsNtDdiVersionAvailable RtlIsPartialPlaceholder RtlIsRangeAvailable RtlIsSandboxedToken
        RtlIsServicePackVersionInstalled RtlIsStateSeparationEnabled RtlIsValidOemCharacter RtlLoadString RtlLockBootStatusData
        RtlLookupAtomInAtomTable
         RtlLookupEntryHashTable RtlLookupFunctionEntry
        RtlMapGenericMask RtlMapSecurityErrorToNtStatus RtlMergeRangeLists RtlMoveMemory RtlNextUnicodePrefix RtlNormalizeSecurityDescriptor
        RtlNtStatusToDosError RtlNtStatusToDosErrorNoTeb RtlNumberOfClearBits
        RtlNumberOfClearBitsInRange RtlNumberOfSetBits RtlNumberOfSetBitsInRange RtlNumberOfSetBitsUlongPtr RtlOemStringToUnicodeSize
        RtlOwnerAcesPresent RtlPcToFileHeader RtlPinAtomInAtomTable RtlPrefetchMemoryNonTemporal RtlPrefixString RtlQueryAtomInAtomTable
        RtlQueryDynamicTimeZoneInformation RtlQueryElevationFlags RtlQueryModuleInformation RtlQueryProcessPlaceholderCompatibilityMode
        RtlQueryThreadPlaceholderCompatibilityMode RtlQueryTimeZoneInformation RtlQueryValidationRunlevel RtlRaiseException RtlRandom
        RtlRandomEx RtlRealPredecessor RtlRealSuccessor RtlRemoveEntryHashTable RtlRemoveUnicodePrefix RtlRestoreContext
        RtlRunOnceInitialize RtlSecondsSince1980ToTime RtlSelfRelativeToAbsoluteSD2 RtlSetAllBits RtlSetBit RtlSetBits
        RtlSetDynamicTimeZoneInformation RtlSetProcessPlaceholderCompatibilityMode RtlSetSaclSecurityDescriptor
        RtlSetThreadPlaceholderCompatibilityMode RtlSetTimeZoneInformation RtlSidHashInitialize RtlSidHashLookup RtlSizeHeap RtlSplay
        RtlStronglyEnumerateEntryHashTable RtlSubtreePredecessor RtlSubtreeSuccessor RtlSystemTimeToLocalTime RtlTestBit
        RtlTimeToElapsedTimeFields RtlTimeToSecondsSince1980 RtlTraceDatabaseAdd RtlTraceDatabaseCreate RtlTraceDatabaseDestroy
        RtlTraceDatabaseEnumerate RtlTraceDatabaseFind RtlTraceDatabaseLock RtlTraceDatabaseUnlock RtlTraceDatabaseValidate
        RtlUnicodeStringToAnsiSize RtlUnicodeStringToOemSize RtlUniform RtlUnlockBootStatusData RtlUnwind RtlUnwindEx
        RtlUpcaseUnicodeStringToAnsiString RtlUpperString RtlValidRelativeSecurityDescriptor RtlVirtualUnwind RtlWalkFrameChain
        RtlWeaklyEnumerateEntryHashTable RtlZeroHeap RtlZeroMemory RtlxOemStringToUnicodeSize RtlxUnicodeStringToOemSize SeAccessCheck
        SeAccessCheckEx SeAccessCheckFromState SeAccessCheckFromStateEx SeAccessCheckWithHint SeAdjustAccessStateForAccessConstraints
        SeAdjustAccessStateForTrustLabel SeAuditFipsCryptoSelftests SeAuditHardLinkCreation SeAuditHardLinkCreationWithTransaction
        SeAuditTransactionStateChange SeAuditingAnyFileEventsWithContext SeAuditingAnyFileEventsWithContextEx SeAuditingFileEvents
        SeAuditingFileEventsWithContext SeAuditingFileEventsWithContextEx SeAuditingFileOrGlobalEvents SeAuditingHardLinkEvents
        SeAuditingHardLinkEventsWithContext SeAuditingWithTokenForSubcategory SeCaptureSecurityDescriptor SeCaptureSubjectContext
        SeCaptureSubjectContextEx SeCheckForCriticalAceRemoval SeCloseObjectAuditAlarm SeCloseObjectAuditAlarmForNonObObject
        SeComputeAutoInheritByObjectType SeCreateAccessState SeCreateAccessStateEx SeDeleteAccessState SeDeleteClientSecurity
        SeDeleteObjectAuditAlarm SeDeleteObjectAuditAlarmWithTransaction SeExamineSacl SeFreePrivileges SeGetLinkedToken SeImpersonateClient
        SeLockSubjectContext SeOpenObjectAuditAlarm SeOpenObjectAuditAlarmForNonObObject SeOpenObjectAuditAlarmWithTransaction
        SeOpenObjectForDeleteAuditAlarm SeOpenObjectForDeleteAuditAlarmWithTransaction SePrivilegeCheck SePrivilegeObjectAuditAlarm
        SeQuerySecurityAttributesToken SeReleaseSecurityDescriptor SeReleaseSubjectContext SeSetAccessStateGenericMapping
        SeSetSecurityAttributesToken SeShouldCheckForAccessRightsFromParent SeSinglePrivilegeCheck SeSrpAccessCheck
        SeTokenImpersonationLevel SeTokenIsAdmin SeTokenIsRestricted SeTokenIsWriteRestricted SeTokenType SeUnlockSubjectContext
        SeUnregisterImageVerificationCallback SeValidSecurityDescriptor SetContextAttributesW TmCancelPropagationRequest
        TmCurrentTransaction TmEndPropagationRequest TmFreezeTransactions TmGetTransactionId TmInitSystem TmInitSystemPhase2
        TmInitializeResourceManager TmInitializeTransaction TmIsTransactionActive TmSetCurrentTransaction TmThawTransactions
        TmpIsKTMCommitCoordinator VfFailDeviceNode VfFailDriver VfFailSystemBIOS VfIsVerificationEnabled WheaAttemptPhysicalPageOffline
        WheaCreateHwErrorReportDeviceDriver WheaDeferredRecoveryService WheaErrorSourceGetState WheaGetErrorSource
        WheaGetNotifyAllOfflinesPolicy WheaHighIrqlLogSelEventHandlerRegister WheaHighIrqlLogSelEventHandlerUnregister
        WheaInitializeDeferredRecoveryObject WheaIsCriticalState WheaLogInternalEvent WheaRemoveErrorSource WheaRequestDeferredRecovery
        WmiFlushTrace WmiGetClock WmiQueryTrace WmiStartTrace WmiStopTrace WmiTraceFastEvent WmiTraceMessage WmiTraceMessageVa
        WmiUpdateTrace;
}
