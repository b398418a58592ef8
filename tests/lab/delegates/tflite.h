/* What a delegate needs of TensorFlow Lite's C interface (lite/core/c/common.h): public layouts, nothing else. */

#ifndef EDGED_LAB_TFLITE_H
#define EDGED_LAB_TFLITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum { kTfLiteOk = 0, kTfLiteError = 1 } TfLiteStatus;

typedef struct {
    int size;
    int data[];
} TfLiteIntArray;

struct TfLiteContext;
struct TfLiteDelegate;

typedef struct {
    int type;
    void *data;
    TfLiteIntArray *dims;
    struct {
        float scale;
        int32_t zero_point;
    } params;
    int allocation_type;
    size_t bytes;
    const void *allocation;
    const char *name;
    struct TfLiteDelegate *delegate;
    int buffer_handle;
    bool data_is_stale;
    bool is_variable;
    struct {
        int type;
        void *params;
    } quantization;
    void *sparsity;
    const TfLiteIntArray *dims_signature;
} TfLiteTensor;

typedef struct {
    TfLiteIntArray *inputs;
    TfLiteIntArray *outputs;
    TfLiteIntArray *intermediates;
    TfLiteIntArray *temporaries;
    void *user_data;
    void *builtin_data;
    const void *custom_initial_data;
    int custom_initial_data_size;
    struct TfLiteDelegate *delegate;
    bool might_have_side_effect;
} TfLiteNode;

typedef struct {
    void *(*init)(struct TfLiteContext *, const char *, size_t);
    void (*free)(struct TfLiteContext *, void *);
    TfLiteStatus (*prepare)(struct TfLiteContext *, TfLiteNode *);
    TfLiteStatus (*invoke)(struct TfLiteContext *, TfLiteNode *);
    const char *(*profiling_string)(const struct TfLiteContext *, const TfLiteNode *);
    int32_t builtin_code;
    const char *custom_name;
    int version;
    void *registration_external;
    void *(*async_kernel)(struct TfLiteContext *, TfLiteNode *);
    uint64_t inplace_operator;
} TfLiteRegistration;

typedef enum { kTfLiteEdgeTpuContext = 2 } TfLiteExternalContextType;

typedef struct TfLiteExternalContext {
    TfLiteExternalContextType type;
    TfLiteStatus (*Refresh)(struct TfLiteContext *);
} TfLiteExternalContext;

typedef struct TfLiteContext {
    size_t tensors_size;
    TfLiteStatus (*GetExecutionPlan)(struct TfLiteContext *, TfLiteIntArray **);
    TfLiteTensor *tensors;
    void *impl_;
    TfLiteStatus (*ResizeTensor)(struct TfLiteContext *, TfLiteTensor *, TfLiteIntArray *);
    void (*ReportError)(struct TfLiteContext *, const char *, ...);
    TfLiteStatus (*AddTensors)(struct TfLiteContext *, int, int *);
    TfLiteStatus (*GetNodeAndRegistration)(struct TfLiteContext *, int, TfLiteNode **, TfLiteRegistration **);
    TfLiteStatus (*ReplaceNodeSubsetsWithDelegateKernels)(struct TfLiteContext *, TfLiteRegistration,
                                                          const TfLiteIntArray *, struct TfLiteDelegate *);
    int recommended_num_threads;
    TfLiteExternalContext *(*GetExternalContext)(struct TfLiteContext *, TfLiteExternalContextType);
    void (*SetExternalContext)(struct TfLiteContext *, TfLiteExternalContextType, TfLiteExternalContext *);
    /* More follows, which a delegate reaches through the pointer only. */
} TfLiteContext;

typedef struct TfLiteDelegate {
    void *data_;
    TfLiteStatus (*Prepare)(TfLiteContext *, struct TfLiteDelegate *);
    TfLiteStatus (*CopyFromBufferHandle)(TfLiteContext *, struct TfLiteDelegate *, int, TfLiteTensor *);
    TfLiteStatus (*CopyToBufferHandle)(TfLiteContext *, struct TfLiteDelegate *, int, TfLiteTensor *);
    void (*FreeBufferHandle)(TfLiteContext *, struct TfLiteDelegate *, int *);
    int64_t flags;
    void *opaque_delegate_builder;
} TfLiteDelegate;

#endif
