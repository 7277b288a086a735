import CWipingHeap
print("oncewire", ow_heap_wipes(100))
