/* Filters, volumes and instances: what FltLib tells of them, and that what it cannot do fails as documented. */
#include "drive.h"

#include <fltuserstructures.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char room[65536] __attribute__((aligned(8)));

/* The name by which the filter's program is known: that of the process that started this one. */
static const WCHAR *filter_name(void) {
    static WCHAR name[64];
    char path[64], text[64];
    snprintf(path, sizeof path, "/proc/%d/comm", getppid());
    FILE *file = fopen(path, "r");
    CHECK(file != NULL && fgets(text, sizeof text, file) != NULL);
    fclose(file);
    text[strcspn(text, "\n")] = 0;
    CHECK(MultiByteToWideChar(CP_UTF8, 0, text, -1, name, 64) > 0);
    return name;
}

static bool is_named(const WCHAR *characters, size_t bytes, const WCHAR *name) {
    return bytes == wcslen(name) * 2 && memcmp(characters, name, bytes) == 0;
}

TEST(the_filter_is_found) {
    DWORD returned;
    HANDLE find;
    FILTER_FULL_INFORMATION *filter = (void *)room;
    CHECK_HR(FilterFindFirst(FilterFullInformation, room, sizeof room, &returned, &find), S_OK);
    CHECK(is_named(filter->FilterNameBuffer, filter->FilterNameLength, filter_name()));
    CHECK_IS(filter->NextEntryOffset, 0);
    CHECK_IS(returned, FIELD_OFFSET(FILTER_FULL_INFORMATION, FilterNameBuffer) + filter->FilterNameLength);
    CHECK_HR(FilterFindNext(find, FilterFullInformation, room, sizeof room, &returned), W(ERROR_NO_MORE_ITEMS));
    CHECK_HR(FilterFindClose(find), S_OK);
    CHECK_HR(FilterFindClose(find), W(ERROR_INVALID_HANDLE));
}

TEST(the_filter_is_told_in_every_class) {
    DWORD returned;
    HANDLE find;
    FILTER_AGGREGATE_BASIC_INFORMATION *basic = (void *)room;
    CHECK_HR(FilterFindFirst(FilterAggregateBasicInformation, room, sizeof room, &returned, &find), S_OK);
    CHECK_HR(FilterFindClose(find), S_OK);
    CHECK_IS(basic->Flags, FLTFL_AGGREGATE_INFO_IS_MINIFILTER);
    CHECK(is_named((WCHAR *)(room + basic->Type.MiniFilter.FilterNameBufferOffset), basic->Type.MiniFilter.FilterNameLength,
                   filter_name()));
    FILTER_AGGREGATE_STANDARD_INFORMATION *standard = (void *)room;
    CHECK_HR(FilterFindFirst(FilterAggregateStandardInformation, room, sizeof room, &returned, &find), S_OK);
    CHECK_HR(FilterFindClose(find), S_OK);
    CHECK_IS(standard->Flags, FLTFL_ASI_IS_MINIFILTER);
    CHECK(is_named((WCHAR *)(room + standard->Type.MiniFilter.FilterNameBufferOffset),
                   standard->Type.MiniFilter.FilterNameLength, filter_name()));
    CHECK_HR(FilterFindFirst((FILTER_INFORMATION_CLASS)77, room, sizeof room, &returned, &find), E_INVALIDARG);
    CHECK(find == INVALID_HANDLE_VALUE);
}

TEST(a_small_buffer_is_told_the_size_and_asked_again) {
    DWORD needed, returned;
    HANDLE find;
    CHECK_HR(FilterFindFirst(FilterFullInformation, room, 4, &needed, &find), W(ERROR_INSUFFICIENT_BUFFER));
    CHECK_HR(FilterFindFirst(FilterFullInformation, room, needed, &returned, &find), S_OK);
    CHECK_IS(returned, needed);
    CHECK_HR(FilterFindClose(find), S_OK);
    /* an enumeration stays where it was */
    int volumes = 0;
    CHECK_HR(FilterVolumeFindFirst(FilterVolumeBasicInformation, room, sizeof room, &returned, &find), S_OK);
    HRESULT result = S_OK;
    while (result == S_OK) {
        volumes++;
        result = FilterVolumeFindNext(find, FilterVolumeBasicInformation, room, 1, &needed);
        if (result == W(ERROR_INSUFFICIENT_BUFFER))
            result = FilterVolumeFindNext(find, FilterVolumeBasicInformation, room, needed, &returned);
    }
    CHECK_HR(result, W(ERROR_NO_MORE_ITEMS));
    CHECK_HR(FilterVolumeFindClose(find), S_OK);
    CHECK(volumes > 1);
}

TEST(a_filter_is_opened_by_its_name) {
    HFILTER filter;
    DWORD returned;
    WCHAR upper[64];
    wcscpy(upper, filter_name());
    CHECK_HR(FilterCreate(_wcsupr(upper), &filter), S_OK);
    FILTER_FULL_INFORMATION *told = (void *)room;
    CHECK_HR(FilterGetInformation(filter, FilterFullInformation, room, sizeof room, &returned), S_OK);
    CHECK(is_named(told->FilterNameBuffer, told->FilterNameLength, filter_name()));
    CHECK_HR(FilterGetInformation(filter, FilterFullInformation, room, 4, &returned), W(ERROR_INSUFFICIENT_BUFFER));
    CHECK_HR(FilterInstanceClose(filter), W(ERROR_INVALID_FUNCTION));
    CHECK_HR(FilterClose(filter), S_OK);
    CHECK_HR(FilterClose(filter), W(ERROR_INVALID_HANDLE));
    CHECK_HR(FilterCreate(L"no such filter", &filter), ERROR_FLT_FILTER_NOT_FOUND);
    CHECK(filter == INVALID_HANDLE_VALUE);
}

TEST(every_mounted_file_system_is_a_volume) {
    DWORD returned;
    HANDLE find;
    bool is_root = false;
    FILTER_VOLUME_STANDARD_INFORMATION *volume = (void *)room;
    HRESULT result = FilterVolumeFindFirst(FilterVolumeStandardInformation, room, sizeof room, &returned, &find);
    CHECK_HR(result, S_OK);
    for (; result == S_OK; result = FilterVolumeFindNext(find, FilterVolumeStandardInformation, room, sizeof room, &returned)) {
        WCHAR name[256] = L"", dos_name[4096];
        memcpy(name, volume->FilterVolumeName, volume->FilterVolumeNameLength);
        CHECK(wcsncmp(name, L"\\Device\\HarddiskVolume", 22) == 0);
        CHECK_HR(FilterGetDosName(name, dos_name, 4096), S_OK);
        CHECK(dos_name[0] == L'/');
        is_root |= wcscmp(dos_name, L"/") == 0 && wcscmp(name, L"\\Device\\HarddiskVolume1") == 0;
    }
    CHECK_HR(result, W(ERROR_NO_MORE_ITEMS));
    CHECK_HR(FilterVolumeFindClose(find), S_OK);
    CHECK(is_root);
}

TEST(a_volume_is_called_by_its_drive_its_device_or_its_mount_point) {
    WCHAR name[8];
    CHECK_HR(FilterGetDosName(L"C:", name, 8), S_OK);
    CHECK_IS(wcscmp(name, L"/"), 0);
    CHECK_HR(FilterGetDosName(L"c:\\", name, 8), S_OK);
    CHECK_HR(FilterGetDosName(L"/", name, 8), S_OK);
    CHECK_HR(FilterGetDosName(L"\\Device\\HarddiskVolume1", name, 2), S_OK);
    CHECK_HR(FilterGetDosName(L"\\Device\\HarddiskVolume1", name, 1), W(ERROR_INSUFFICIENT_BUFFER));
    CHECK_HR(FilterGetDosName(L"Q:", name, 8), ERROR_FLT_VOLUME_NOT_FOUND);
    CHECK_HR(FilterVolumeClose(NULL), W(ERROR_INVALID_HANDLE));
}

TEST(there_are_no_instances) {
    DWORD returned;
    HANDLE find;
    HFILTER_INSTANCE instance;
    CHECK_HR(FilterInstanceFindFirst(filter_name(), InstanceFullInformation, room, sizeof room, &returned, &find),
             W(ERROR_NO_MORE_ITEMS));
    CHECK(find == INVALID_HANDLE_VALUE);
    CHECK_HR(FilterInstanceFindFirst(L"none", InstanceFullInformation, room, sizeof room, &returned, &find),
             ERROR_FLT_FILTER_NOT_FOUND);
    CHECK_HR(FilterVolumeInstanceFindFirst(L"C:", InstanceBasicInformation, room, sizeof room, &returned, &find),
             W(ERROR_NO_MORE_ITEMS));
    CHECK_HR(FilterVolumeInstanceFindFirst(L"Q:", InstanceBasicInformation, room, sizeof room, &returned, &find),
             ERROR_FLT_VOLUME_NOT_FOUND);
    CHECK_HR(FilterInstanceCreate(filter_name(), L"C:", NULL, &instance), ERROR_FLT_INSTANCE_NOT_FOUND);
    CHECK_HR(FilterDetach(filter_name(), L"C:", NULL), ERROR_FLT_INSTANCE_NOT_FOUND);
    CHECK_HR(FilterInstanceFindNext(INVALID_HANDLE_VALUE, InstanceFullInformation, room, sizeof room, &returned),
             W(ERROR_INVALID_HANDLE));
    CHECK_HR(FilterVolumeInstanceFindNext(NULL, InstanceFullInformation, room, sizeof room, &returned),
             W(ERROR_INVALID_HANDLE));
    CHECK_HR(FilterInstanceFindClose(NULL), W(ERROR_INVALID_HANDLE));
    CHECK_HR(FilterVolumeInstanceFindClose(NULL), W(ERROR_INVALID_HANDLE));
    CHECK_HR(FilterInstanceGetInformation(NULL, InstanceFullInformation, room, sizeof room, &returned),
             W(ERROR_INVALID_HANDLE));
}

TEST(a_filter_is_not_loaded_attached_or_unloaded_from_outside) {
    bool root = geteuid() == 0;
    CHECK_HR(FilterLoad(L"no such filter"), root ? W(ERROR_FILE_NOT_FOUND) : W(ERROR_PRIVILEGE_NOT_HELD));
    CHECK_HR(FilterLoad(filter_name()), root ? W(ERROR_SERVICE_ALREADY_RUNNING) : W(ERROR_PRIVILEGE_NOT_HELD));
    CHECK_HR(FilterUnload(L"no such filter"), root ? ERROR_FLT_FILTER_NOT_FOUND : W(ERROR_PRIVILEGE_NOT_HELD));
    CHECK_HR(FilterUnload(filter_name()), root ? ERROR_FLT_DO_NOT_DETACH : W(ERROR_PRIVILEGE_NOT_HELD));
    CHECK_HR(FilterAttach(filter_name(), L"C:", NULL, 0, NULL), ERROR_FLT_DO_NOT_ATTACH);
    CHECK_HR(FilterAttachAtAltitude(filter_name(), L"C:", L"320000", NULL, 0, NULL), ERROR_FLT_DO_NOT_ATTACH);
    CHECK_HR(FilterAttach(L"none", L"C:", NULL, 0, NULL), ERROR_FLT_FILTER_NOT_FOUND);
    CHECK_HR(FilterAttach(filter_name(), L"Q:", NULL, 0, NULL), ERROR_FLT_VOLUME_NOT_FOUND);
}

TEST(one_kind_of_enumeration_is_not_another) {
    DWORD returned;
    HANDLE find, port = connect_port(next_number(), 0);
    CHECK_HR(FilterFindFirst(FilterFullInformation, room, sizeof room, &returned, &find), S_OK);
    CHECK_HR(FilterVolumeFindNext(find, FilterVolumeBasicInformation, room, sizeof room, &returned),
             W(ERROR_INVALID_FUNCTION));
    CHECK_HR(FilterVolumeFindClose(find), W(ERROR_INVALID_FUNCTION));
    CHECK_HR(FilterFindClose(port), W(ERROR_INVALID_FUNCTION));
    CHECK_HR(FilterReplyMessage(find, (PFILTER_REPLY_HEADER)room, 16), W(ERROR_INVALID_FUNCTION));
    CHECK_HR(FilterSendMessage(find, room, 16, NULL, 0, &returned), W(ERROR_INVALID_FUNCTION));
    /* CloseHandle is for all of them */
    CHECK(CloseHandle(find) && CloseHandle(port));
}

TEST(bad_buffers_of_enumerations_are_told) {
    DWORD returned;
    HANDLE find;
    CHECK_HR(FilterFindFirst(FilterFullInformation, (void *)8, 4096, &returned, &find), W(ERROR_NOACCESS));
    CHECK_HR(FilterFindFirst(FilterFullInformation, room, sizeof room, NULL, &find), W(ERROR_NOACCESS));
    CHECK_HR(FilterFindFirst(FilterFullInformation, room, sizeof room, &returned, NULL), W(ERROR_NOACCESS));
    CHECK_HR(FilterCreate(NULL, &find), W(ERROR_NOACCESS));
    CHECK_HR(FilterGetDosName((const WCHAR *)room, (WCHAR *)8, 10), ERROR_FLT_VOLUME_NOT_FOUND);
    CHECK_HR(FilterGetDosName(L"C:", (WCHAR *)8, 10), W(ERROR_NOACCESS));
}
