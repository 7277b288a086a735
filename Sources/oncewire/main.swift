print("oncewire")
