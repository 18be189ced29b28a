/* What crosses the border between NVML and its callers: return codes and structures, laid out as in nvml.h.
 * The structures bear the names of NVIDIA's Python binding, and a test compares their sizes with the binding's.
 */
#include <stdint.h>

/* The return codes that are given here. */
enum {
    SUCCESS = 0,
    UNINITIALIZED = 1,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7,
    DRIVER_NOT_LOADED = 9,
    GPU_IS_LOST = 15,
    VERSION_MISMATCH = 25,
};

typedef struct {
    char bus_id_legacy[16];
    unsigned domain, bus, device, pci_device_id, pci_subsystem_id;
    char bus_id[32];
} nvmlPciInfo_t;
typedef struct {
    unsigned long long total, free, used;
} c_nvmlMemory_t;
typedef struct {
    unsigned version;
    unsigned long long total, reserved, free, used;
} c_nvmlMemory_v2_t;
typedef struct {
    unsigned gpu, memory;
} c_nvmlUtilization_t;
typedef struct {
    unsigned pid;
    unsigned long long memory;
    unsigned gpu_instance, compute_instance;
} c_nvmlProcessInfo_v3_t;
typedef struct {
    unsigned version;
    int sensor, celsius;
} c_nvmlTemperature_v1_t;
typedef struct {
    unsigned multiprocessors, copy_engines, decoders, encoders, jpeg, ofa, gpu_slices, compute_slices;
    unsigned long long memory_mib;
} c_nvmlDeviceAttributes;
typedef struct {
    uint32_t field, scope;
    int64_t timestamp, latency;
    unsigned type;
    int status;
    union {
        double d;
        unsigned ui;
        unsigned long long ull;
    } value;
} c_nvmlFieldValue_t;
