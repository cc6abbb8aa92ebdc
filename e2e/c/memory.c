/* Memory: heaps, pages, what is known of an address. */
#include "test.h"

#include <string.h>
#include <unistd.h>

TEST(the_heap_gives_and_takes) {
    HANDLE heap = GetProcessHeap();
    CHECK(heap != NULL);
    unsigned char *block = HeapAlloc(heap, HEAP_ZERO_MEMORY, 1000);
    CHECK(block != NULL && block[0] == 0 && block[999] == 0);
    CHECK_IS(HeapSize(heap, 0, block), 1000);
    memset(block, 7, 1000);
    block = HeapReAlloc(heap, HEAP_ZERO_MEMORY, block, 2000);
    CHECK(block != NULL && block[999] == 7 && block[1000] == 0 && block[1999] == 0);
    CHECK_IS(HeapSize(heap, 0, block), 2000);
    CHECK(HeapFree(heap, 0, block));
    CHECK(HeapFree(heap, 0, NULL));
    block = HeapAlloc(heap, 0, 0);
    CHECK(block != NULL && HeapSize(heap, 0, block) == 0 && HeapFree(heap, 0, block));
    CHECK(HeapAlloc(heap, 0, (SIZE_T)1 << 62) == NULL);
    CHECK(HeapAlloc(heap, 0, ~(SIZE_T)0) == NULL);
}

TEST(what_is_no_block_is_not_freed) {
    HANDLE heap = GetProcessHeap();
    unsigned char *block = HeapAlloc(heap, HEAP_ZERO_MEMORY, 100);
    ULONG_PTR own[8] = {0};
    CHECK_ERROR(HeapFree(heap, 0, block + 16), ERROR_INVALID_PARAMETER);
    CHECK_ERROR(HeapFree(heap, 0, own + 4), ERROR_INVALID_PARAMETER);
    CHECK_ERROR(HeapFree(heap, 0, (void *)8), ERROR_INVALID_PARAMETER);
    CHECK_ERROR(HeapFree(NULL, 0, block), ERROR_INVALID_HANDLE);
    CHECK(HeapReAlloc(heap, 0, NULL, 10) == NULL);
    CHECK_IS(HeapSize(heap, 0, (void *)8), -1);
    CHECK(LocalFree((void *)8) == (void *)8);
    CHECK(HeapFree(heap, 0, block));
}

TEST(local_and_global_memory_is_of_the_heap) {
    char *local = LocalAlloc(LPTR, 100);
    CHECK(local != NULL && local[99] == 0 && LocalFree(local) == NULL);
    char *global = GlobalAlloc(GPTR, 100);
    CHECK(global != NULL && global[99] == 0 && GlobalFree(global) == NULL);
}

TEST(pages_are_reserved_committed_and_given_back) {
    SIZE_T page = (SIZE_T)sysconf(_SC_PAGESIZE);
    char *at = VirtualAlloc(NULL, 4 * page, MEM_RESERVE, PAGE_READWRITE);
    CHECK(at != NULL && ((ULONG_PTR)at & 0xFFFF) == 0);
    MEMORY_BASIC_INFORMATION information;
    CHECK_IS(VirtualQuery(at, &information, sizeof information), sizeof information);
    CHECK(information.BaseAddress == at && information.AllocationBase == at);
    CHECK_IS(information.State, MEM_RESERVE);
    CHECK(VirtualAlloc(at + page, page, MEM_COMMIT, PAGE_READWRITE) == at + page);
    at[page] = 1;
    CHECK_IS(VirtualQuery(at + page + 5, &information, sizeof information), sizeof information);
    CHECK(information.BaseAddress == at + page && information.AllocationBase == at);
    CHECK_IS(information.RegionSize, page);
    CHECK_IS(information.State, MEM_COMMIT);
    CHECK_IS(information.Protect, PAGE_READWRITE);
    CHECK_IS(information.Type, MEM_PRIVATE);
    CHECK(VirtualFree(at + page, page, MEM_DECOMMIT));
    CHECK_IS(VirtualQuery(at + page, &information, sizeof information), sizeof information);
    CHECK_IS(information.State, MEM_RESERVE);
    CHECK_ERROR(VirtualFree(at, page, MEM_RELEASE), ERROR_INVALID_PARAMETER);
    CHECK(VirtualFree(at, 0, MEM_RELEASE));
    CHECK_IS(VirtualQuery(at, &information, sizeof information), sizeof information);
    CHECK_IS(information.State, MEM_FREE);
    CHECK_ERROR(VirtualFree(at, 0, MEM_RELEASE), ERROR_INVALID_ADDRESS);
}

TEST(committed_pages_are_zero_and_protected_as_asked) {
    SIZE_T page = (SIZE_T)sysconf(_SC_PAGESIZE);
    char *at = VirtualAlloc(NULL, page, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE);
    CHECK(at != NULL && at[0] == 0 && at[page - 1] == 0);
    at[0] = 1;
    DWORD before;
    CHECK(VirtualProtect(at, page, PAGE_READONLY, &before));
    CHECK_IS(before, PAGE_READWRITE);
    CHECK_IS(at[0], 1);
    MEMORY_BASIC_INFORMATION information;
    CHECK(VirtualQuery(at, &information, sizeof information) != 0);
    CHECK_IS(information.Protect, PAGE_READONLY);
    CHECK_IS(information.AllocationProtect, PAGE_READWRITE);
    CHECK_ERROR(VirtualProtect(at, page, 0, &before), ERROR_INVALID_PARAMETER);
    CHECK(VirtualFree(at, 0, MEM_RELEASE));
    CHECK(VirtualAlloc(NULL, 0, MEM_COMMIT, PAGE_READWRITE) == NULL);
    CHECK_ERROR(VirtualAlloc(NULL, page, MEM_COMMIT, 0), ERROR_INVALID_PARAMETER);
}

TEST(an_address_of_the_program_is_of_an_image) {
    static const char text[] = "text";
    MEMORY_BASIC_INFORMATION information;
    CHECK(VirtualQuery(text, &information, sizeof information) != 0);
    CHECK_IS(information.State, MEM_COMMIT);
    CHECK_IS(information.Type, MEM_IMAGE);
    CHECK_IS(information.Protect, PAGE_READONLY);
}

TEST(nothing_that_is_no_section_is_mapped) {
    HANDLE event = CreateEvent(NULL, TRUE, FALSE, NULL);
    CHECK_ERROR(MapViewOfFile(event, FILE_MAP_READ, 0, 0, 0), ERROR_INVALID_HANDLE);
    CHECK_ERROR(MapViewOfFile(NULL, FILE_MAP_READ, 0, 0, 0), ERROR_INVALID_HANDLE);
    CHECK_ERROR(UnmapViewOfFile(&event), ERROR_INVALID_ADDRESS);
    CHECK_ERROR(UnmapViewOfFileEx(NULL, 0), ERROR_INVALID_ADDRESS);
    CHECK(CloseHandle(event));
}
