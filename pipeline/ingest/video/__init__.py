"""Video: files, DICOM video objects and folders of pictures, each as pictures with their times."""
