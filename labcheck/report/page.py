def write(content, folder): return folder
