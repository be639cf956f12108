"""What lives in the caller's process: the seam in the SDK's clients, the recorder, the spool and the uploader."""
